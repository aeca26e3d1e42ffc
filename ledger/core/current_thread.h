// What the operating system is told of the thread that calls: its name (seen in `top -H`, debuggers and profilers) and how urgent it is.
#pragma once

#include <sched.h>
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

// Linux numbers threads as it numbers processes.
inline pid_t currentThread() {
  return static_cast<pid_t>(::syscall(SYS_gettid));
}

// Linux keeps the nice value a thread, not a process (setpriority(2), "C library/kernel differences"). Failure changes nothing.
inline void runInBackground() {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(currentThread()), kBackgroundNice);
}

// Whether the calling thread, after runInBackground(), may be made less urgent and more urgent again. Who lacks CAP_SYS_NICE and has a
// smaller RLIMIT_NICE than 20 - kBackgroundNice can only ever give urgency up (sched(7), "The nice value"; SCHED_IDLE is left by the same
// rule). Found by trying: where it fails, the thread keeps a nice value one greater, which does no harm.
inline bool mayGiveWayForAWhile() {
  const auto self = static_cast<id_t>(currentThread());
  return ::setpriority(PRIO_PROCESS, self, kBackgroundNice + 1) == 0 && ::setpriority(PRIO_PROCESS, self, kBackgroundNice) == 0;
}

// `thread` runs only while a processor has nothing else to do, next to never on a machine that is busy.
inline bool giveWay(pid_t thread) {
  const sched_param none{};
  return ::sched_setscheduler(thread, SCHED_IDLE, &none) == 0;
}

// Back to the nice value it had.
inline bool takeTurns(pid_t thread) {
  const sched_param none{};
  return ::sched_setscheduler(thread, SCHED_OTHER, &none) == 0;
}

}  // namespace counterfoil
