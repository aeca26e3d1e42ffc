// Logs of the server: one JSON object a line on standard error, so that a collector never guesses.
#pragma once

namespace counterfoil::cmd {

// Makes it the default of spdlog for this process. Messages are fixed sentences and ids; no caller's value is ever among them.
void startJsonLog();

}  // namespace counterfoil::cmd
