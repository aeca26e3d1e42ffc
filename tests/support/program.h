// Any program as a real process with pipes on its standard streams, started as a service manager would: its own folder, environment and
// sockets. Waits only in poll(), ends processes only by their pid.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace counterfoil::test {

// The path of a program that PATH has; empty if it has none of that name.
inline std::string findProgram(const std::string& name) {
  const char* const path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const std::string candidate = std::string(rest.substr(0, end)) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

inline std::int64_t nowMicroseconds() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline constexpr int kProcessTimeoutMs = 300'000;

struct ProgramOptions {
  std::vector<std::string> environment;  // "NAME=value", before what the surroundings have; COUNTERFOIL_* of those are not handed on
  std::filesystem::path folder;          // to run in; empty: this one
  std::vector<int> sockets;              // passed on as descriptors 3, 4, ... with LISTEN_FDS and LISTEN_PID (sd_listen_fds(3))
  bool socketsForAnother = false;        // LISTEN_PID names another process
  bool dumpsCore = false;
};

// Owned by one thread. Its descriptors and the process end with the object.
class Program {
 public:
  // `arguments` begin with the program's path.
  explicit Program(std::vector<std::string> arguments, const ProgramOptions& options = {}) {
    int input[2], output[2], problems[2];
    if (::pipe2(input, O_CLOEXEC) != 0 || ::pipe2(output, O_CLOEXEC) != 0 || ::pipe2(problems, O_CLOEXEC) != 0) {
      throw std::runtime_error("no pipes for a process");
    }
    std::vector<std::string> variables = options.environment;
    // Its number is known only in the process itself, where nothing may be allocated.
    std::string listenPid = "LISTEN_PID=" + std::string(24, '\0');
    if (!options.sockets.empty()) variables.push_back("LISTEN_FDS=" + std::to_string(options.sockets.size()));
    for (char** variable = environ; *variable != nullptr; ++variable) {
      if (std::strncmp(*variable, "COUNTERFOIL_", 12) != 0) variables.emplace_back(*variable);
    }
    const std::vector<char*> argv = pointersOf(arguments);
    std::vector<char*> envp = pointersOf(variables);
    if (!options.sockets.empty()) envp.insert(envp.begin(), listenPid.data());
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("cannot start a process");
    if (pid_ == 0) {
      // A test that dies takes its processes with it.
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(127);
      ::dup2(input[0], STDIN_FILENO);
      ::dup2(output[1], STDOUT_FILENO);
      ::dup2(problems[1], STDERR_FILENO);
      std::snprintf(listenPid.data() + 11, 24, "%ld", static_cast<long>(::getpid()) + (options.socketsForAnother ? 1 : 0));
      become(argv, envp, options);
    }
    for (const int descriptor : {input[0], output[1], problems[1]}) ::close(descriptor);
    in_ = input[1];
    out_ = output[0];
    error_ = problems[0];
    for (const int descriptor : {in_, out_, error_}) ::fcntl(descriptor, F_SETFL, O_NONBLOCK);
    handle_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    if (handle_ < 0) throw std::runtime_error("no descriptor for a process");
    // A reader that has gone must be an error here, not the end of the test program.
    std::signal(SIGPIPE, SIG_IGN);
  }
  ~Program() {
    if (!reaped_) {
      ::kill(pid_, SIGKILL);
      reap();
    }
    for (int* descriptor : {&in_, &out_, &error_, &handle_}) closeOne(*descriptor);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  // Everything read so far; callers may take it away.
  std::string out;
  std::string error;

  void signal(int number) { ::kill(pid_, number); }
  // Sends SIGSTOP and returns when every thread has stopped; false if it ended instead.
  bool stop() {
    ::kill(pid_, SIGSTOP);
    if (::waitpid(pid_, &status_, WUNTRACED) != pid_) throw std::runtime_error("cannot wait for a process");
    if (WIFSTOPPED(status_)) return true;
    reaped_ = true;
    return false;
  }

  // Bytes for its standard input; they go as it takes them, in pump() and all that waits.
  void send(std::string_view bytes) { pending_ += bytes; }
  // Input that was given but not yet taken.
  std::size_t unsent() const { return pending_.size() - sent_; }
  // Waits until it has taken all of it. False if it does not, or not within `timeoutMs`.
  bool sendAll(std::string_view bytes, int timeoutMs = 30'000) {
    send(bytes);
    return until([this] { return unsent() == 0 || in_ < 0; }, timeoutMs) && in_ >= 0;
  }
  // Ends its input once everything is sent.
  void closeInput() {
    closing_ = true;
    if (unsent() == 0) closeOne(in_);
  }

  // One poll(): writes and reads what is ready, waits at most `timeoutMs` for it. False when both outputs are at their end.
  bool pump(int timeoutMs) {
    if (out_ < 0 && error_ < 0) return false;
    step(timeoutMs, -1);
    return out_ >= 0 || error_ >= 0;
  }
  // Pumps until `met` is; false after `timeoutMs`, or when both outputs are at their end and it is not.
  bool until(const std::function<bool()>& met, int timeoutMs = 30'000) {
    const std::int64_t deadline = nowMicroseconds() + std::int64_t{timeoutMs} * 1'000;
    for (;;) {
      if (met()) return true;
      const std::int64_t left = (deadline - nowMicroseconds()) / 1'000;
      // Conditions may concern more than this process: looked at again soon.
      if (left <= 0 || (out_ < 0 && error_ < 0)) return false;
      step(static_cast<int>(std::min<std::int64_t>(left, 20)), -1);
    }
  }
  bool untilError(std::string_view text, int timeoutMs = 30'000) {
    return until([&] { return error.find(text) != std::string::npos; }, timeoutMs);
  }

  // Waits for its exit, and reads to the end: the exit status, or 128 + the signal that ended it. What it left behind may keep its outputs
  // open, for a second. Throws after `timeoutMs`.
  int finish(int timeoutMs = kProcessTimeoutMs) {
    const std::int64_t deadline = nowMicroseconds() + std::int64_t{timeoutMs} * 1'000;
    while (!reaped_) {
      const std::int64_t left = (deadline - nowMicroseconds()) / 1'000;
      if (left <= 0) throw std::runtime_error("a process does not end; its standard error so far: " + error);
      if (step(static_cast<int>(left), handle_)) reap();
    }
    until([] { return false; }, 1'000);
    return WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
  }

 private:
  // Writes and reads what is ready. True if `ended` can be read.
  bool step(int timeoutMs, int ended) {
    if (closing_ && unsent() == 0) closeOne(in_);
    pollfd polled[4] = {{out_, POLLIN, 0}, {error_, POLLIN, 0}, {unsent() > 0 ? in_ : -1, POLLOUT, 0}, {ended, POLLIN, 0}};
    if (::poll(polled, 4, timeoutMs) <= 0) return false;
    if (polled[0].revents != 0) readSome(out_, out);
    if (polled[1].revents != 0) readSome(error_, error);
    if (polled[2].revents != 0) writeSome();
    return polled[3].revents != 0;
  }

  static std::vector<char*> pointersOf(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
  }

  // In the new process: allocates nothing, returns never.
  [[noreturn]] static void become(const std::vector<char*>& argv, const std::vector<char*>& envp, const ProgramOptions& options) {
    constexpr int kFirstPassed = 3;
    constexpr int kOutOfTheWay = 200;
    int passed = kFirstPassed;
    for (const int socket : options.sockets) {
      const int moved = ::fcntl(socket, F_DUPFD_CLOEXEC, kOutOfTheWay);
      ::dup2(moved, passed++);
    }
    if (options.dumpsCore) {
      const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
      if (::setrlimit(RLIMIT_CORE, &all) != 0) ::_exit(126);
    }
    if (!options.folder.empty() && ::chdir(options.folder.c_str()) != 0) ::_exit(126);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }

  static void closeOne(int& descriptor) {
    if (descriptor >= 0) ::close(descriptor);
    descriptor = -1;
  }

  void reap() {
    while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
  }

  static void readSome(int& descriptor, std::string& into) {
    char buffer[65'536];
    for (;;) {
      const ssize_t count = ::read(descriptor, buffer, sizeof(buffer));
      if (count > 0) {
        into.append(buffer, static_cast<std::size_t>(count));
      } else {
        if (count == 0 || (errno != EAGAIN && errno != EINTR)) closeOne(descriptor);
        return;
      }
    }
  }

  void writeSome() {
    const ssize_t count = ::write(in_, pending_.data() + sent_, unsent());
    if (count > 0) sent_ += static_cast<std::size_t>(count);
    const bool gone = count < 0 && errno != EAGAIN && errno != EINTR;
    if (gone) closeOne(in_);
    if (gone || unsent() == 0) {
      pending_.clear();
      sent_ = 0;
    }
  }

  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  int error_ = -1;
  int handle_ = -1;
  int status_ = 0;
  bool reaped_ = false;
  bool closing_ = false;
  std::string pending_;
  std::size_t sent_ = 0;
};

}  // namespace counterfoil::test
