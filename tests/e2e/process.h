// A program under test: a real process with pipes on its three standard streams. Waits only in poll(), ends processes only by their pid.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace counterfoil::test {

// The program: what the environment variable COUNTERFOIL_BIN names, else the binary built beside these tests.
inline std::string binaryPath() {
  const char* named = std::getenv("COUNTERFOIL_BIN");
  return named != nullptr && *named != '\0' ? named : COUNTERFOIL_BINARY;
}

inline std::int64_t nowMicroseconds() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline constexpr int kProcessTimeoutMs = 120'000;

// Owned by one thread. Its descriptors and the process end with the object.
class Process {
 public:
  // `words` without the program's name. COUNTERFOIL_* of the surroundings are not handed on, except those in `environment` ("NAME=value").
  explicit Process(const std::vector<std::string>& words, const std::vector<std::string>& environment = {}) {
    int input[2], output[2], problems[2];
    if (::pipe2(input, O_CLOEXEC) != 0 || ::pipe2(output, O_CLOEXEC) != 0 || ::pipe2(problems, O_CLOEXEC) != 0) {
      throw std::runtime_error("no pipes for a process");
    }
    std::vector<std::string> arguments = {binaryPath()};
    arguments.insert(arguments.end(), words.begin(), words.end());
    std::vector<std::string> variables = environment;
    for (char** variable = environ; *variable != nullptr; ++variable) {
      if (std::strncmp(*variable, "COUNTERFOIL_", 12) != 0) variables.emplace_back(*variable);
    }
    const std::vector<char*> argv = pointersOf(arguments);
    const std::vector<char*> envp = pointersOf(variables);
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
      ::execve(argv[0], argv.data(), envp.data());
      ::_exit(127);
    }
    ::close(input[0]);
    ::close(output[1]);
    ::close(problems[1]);
    in_ = input[1];
    out_ = output[0];
    error_ = problems[0];
    for (const int descriptor : {in_, out_, error_}) ::fcntl(descriptor, F_SETFL, O_NONBLOCK);
    handle_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    if (handle_ < 0) throw std::runtime_error("no descriptor for a process");
  }

  ~Process() {
    if (!reaped_) {
      ::kill(pid_, SIGKILL);
      reap();
    }
    for (int* descriptor : {&in_, &out_, &error_, &handle_}) closeOne(*descriptor);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  // Everything read so far; callers may take it away.
  std::string out;
  std::string error;

  // Bytes for its standard input; pump() and finish() write them.
  void send(std::string_view bytes) { pending_ += bytes; }
  // Input that was given but not yet taken.
  std::size_t unsent() const { return pending_.size() - sent_; }
  // Ends its input once everything is sent.
  void closeInput() { closing_ = true; }

  // One poll(): writes and reads what is ready, waits at most `timeoutMs` for it. False when both outputs are at their end.
  bool pump(int timeoutMs) {
    if (closing_ && unsent() == 0) closeOne(in_);
    pollfd polled[3] = {{out_, POLLIN, 0}, {error_, POLLIN, 0}, {unsent() > 0 ? in_ : -1, POLLOUT, 0}};
    if (out_ < 0 && error_ < 0) return false;
    if (::poll(polled, 3, timeoutMs) > 0) {
      if (polled[0].revents != 0) readSome(out_, out);
      if (polled[1].revents != 0) readSome(error_, error);
      if (polled[2].revents != 0) writeSome();
    }
    return out_ >= 0 || error_ >= 0;
  }

  void signal(int number) { ::kill(pid_, number); }

  // Sends SIGSTOP and returns when every thread has stopped; false if it ended instead.
  bool stop() {
    ::kill(pid_, SIGSTOP);
    if (::waitpid(pid_, &status_, WUNTRACED) != pid_) throw std::runtime_error("cannot wait for a process");
    if (WIFSTOPPED(status_)) return true;
    reaped_ = true;
    return false;
  }

  // Reads to the end and waits for its exit: the exit status, or 128 + the signal that ended it. Throws after `timeoutMs`.
  int finish(int timeoutMs = kProcessTimeoutMs) {
    const std::int64_t deadline = nowMicroseconds() + std::int64_t{timeoutMs} * 1'000;
    const auto left = [&] {
      const std::int64_t milliseconds = (deadline - nowMicroseconds()) / 1'000;
      if (milliseconds <= 0) throw std::runtime_error("a process does not end; its standard error so far: " + error);
      return static_cast<int>(milliseconds);
    };
    while (pump(left())) {
    }
    if (!reaped_) {
      pollfd ended{handle_, POLLIN, 0};
      while (::poll(&ended, 1, left()) <= 0) {
      }
      reap();
    }
    return WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
  }

 private:
  static std::vector<char*> pointersOf(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
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

  void readSome(int& descriptor, std::string& into) {
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
    // A reader that has gone must be an error here, not the end of the test program.
    std::signal(SIGPIPE, SIG_IGN);
    const ssize_t count = ::write(in_, pending_.data() + sent_, unsent());
    if (count > 0) {
      sent_ += static_cast<std::size_t>(count);
      if (unsent() == 0) {
        pending_.clear();
        sent_ = 0;
      }
    } else if (count < 0 && errno == EPIPE) {
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
