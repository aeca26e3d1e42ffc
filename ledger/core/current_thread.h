// What the operating system is told of the thread that calls: its name (seen in `top -H`, debuggers and profilers) and how urgent it is.
#pragma once

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace counterfoil {

// At most 15 characters are kept.
inline void nameCurrentThread(const char* name) {
  ::prctl(PR_SET_NAME, name, 0, 0, 0);
}

// Nice value of threads that may wait while others have work: about a tenth of the share of a thread of standard urgency. Not more: such a
// thread may hold a lock for some microseconds that an urgent one wants, and must get its turn soon.
inline constexpr int kBackgroundNice = 10;

// Linux keeps the nice value a thread, not a process (setpriority(2), "C library/kernel differences"). Failure changes nothing.
inline void runInBackground() {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kBackgroundNice);
}

}  // namespace counterfoil
