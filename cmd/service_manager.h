// What systemd and its like give a service: readiness, watchdog, a socket that listens already (sd_notify(3), sd_listen_fds(3)). Without
// them every call does nothing.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace counterfoil::cmd {

// "READY=1", "STOPPING=1", "WATCHDOG=1" to $NOTIFY_SOCKET.
void notifyServiceManager(const std::string& state);
// "RELOADING=1" with the time it began; READY=1 is its end.
void notifyReloading();
// Half of $WATCHDOG_USEC, if this process is watched.
std::optional<std::chrono::microseconds> watchdogInterval();
// The socket that was passed, or -1. The variables are taken out of the environment. Throws Fault(usage): there are several, or it does not
// listen on a TCP port.
int passedSocket();

}  // namespace counterfoil::cmd
