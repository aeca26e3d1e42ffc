#include "cmd/bench/http_server.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <thread>

#include "cmd/http_client.h"
#include "cmd/token_client.h"
#include "ledger/core/outcome.h"
#include "ledger/log/embedded_log.h"

namespace counterfoil::cmd::bench {
namespace {

constexpr double kStartSeconds = 600;
constexpr std::chrono::milliseconds kLook{2};

std::vector<char*> pointersOf(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// The surroundings without the settings of other ledgers, and with limits that a closed loop on one machine cannot reach.
std::vector<std::string> environment(const std::vector<std::string>& settings) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (std::strncmp(*variable, "COUNTERFOIL_", 12) != 0) variables.emplace_back(*variable);
  }
  variables.emplace_back("COUNTERFOIL_WORKSPACE_ENTRIES_PER_SECOND=100000000");
  variables.emplace_back("COUNTERFOIL_PRINCIPAL_ENTRIES_PER_SECOND=100000000");
  for (const std::string& setting : settings) variables.push_back("COUNTERFOIL_" + setting);
  return variables;
}

pid_t startProcess(const char* program, std::vector<std::string> arguments, const std::vector<std::string>& settings,
                   const std::filesystem::path& log) {
  std::vector<std::string> variables = environment(settings);
  const std::vector<char*> argv = pointersOf(arguments);
  const std::vector<char*> envp = pointersOf(variables);
  const std::string logPath = log.string();
  const pid_t parent = ::getpid();
  const pid_t process = ::fork();
  if (process < 0) throw Fault(ErrorCode::unreadableInput, "cannot start a process", "free memory or processes");
  if (process == 0) {
    // A benchmark that is interrupted takes its server with it.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    const int output = ::open(logPath.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::dup2(input, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    ::execvpe(program, argv.data(), envp.data());
    ::_exit(127);
  }
  return process;
}

// The exit status, or 128 + the signal that ended it.
int await(pid_t process) {
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

ProcessUse useOf(pid_t process) {
  ProcessUse use;
  if (process <= 0) return use;
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(process, &clock) == 0 && ::clock_gettime(clock, &time) == 0) {
    use.cpuSeconds = static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  }
  const std::filesystem::path facts = "/proc/" + std::to_string(process);
  std::ifstream file(facts / "statm");
  std::uint64_t total = 0;
  file >> total >> use.residentBytes;
  use.residentBytes *= static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::error_code gone;
  for (std::filesystem::directory_iterator entry(facts / "fd", gone), end; !gone && entry != end; entry.increment(gone)) ++use.descriptors;
  return use;
}

HttpServer::HttpServer(const std::filesystem::path& parent, std::vector<std::string> settings)
    : folder_(parent), settings_(std::move(settings)) {
  makeCertificate();
  const int status = runProgram({"init", "--data", data().string(), "--keys", (folder_.path() / "keys").string()});
  if (status != 0) throw Fault(ErrorCode::unreadableInput, "the scratch ledger cannot be made", "give --dir a folder on a local disk");
  start();
}

HttpServer::~HttpServer() {
  if (process_ > 0) kill();
}

pid_t HttpServer::startProgram(const std::vector<std::string>& arguments) const {
  std::vector<std::string> words = {"counterfoil"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return startProcess("/proc/self/exe", std::move(words), settings_, folder_.path() / "server.log");
}

int HttpServer::runProgram(const std::vector<std::string>& arguments) const {
  return await(startProgram(arguments));
}

void HttpServer::makeCertificate() const {
  const std::filesystem::path key = folder_.path() / "key.pem";
  const int status = await(startProcess("openssl",
                                        {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                                         "-subj", "/CN=localhost", "-days", "2", "-keyout", key.string(), "-out", certificate()},
                                        settings_, folder_.path() / "openssl.log"));
  if (status != 0 || ::chmod(key.c_str(), 0600) != 0) {
    throw Fault(ErrorCode::unreadableInput, "no certificate could be made for the server", "install the program openssl");
  }
}

void HttpServer::start() {
  process_ = startProgram({"serve", "--data", data().string(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--tls-cert",
                           certificate(), "--tls-key", (folder_.path() / "key.pem").string()});
  const Stopwatch watch;
  while (watch.seconds() < kStartSeconds) {
    int status = 0;
    if (::waitpid(process_, &status, WNOHANG) == process_) {
      process_ = -1;
      break;
    }
    // Renamed into place when it serves; a killed server's file names another process.
    std::ifstream file(data() / "server.json");
    const std::string text(std::istreambuf_iterator<char>(file), {});
    boost::json::error_code failed;
    const boost::json::value said = boost::json::parse(text, failed);
    if (!failed && said.is_object() && said.at("pid").to_number<std::int64_t>() == process_) {
      const std::string url(said.at("url").as_string());
      port_ = static_cast<std::uint16_t>(std::stoul(url.substr(url.rfind(':') + 1)));
      adminUrl_ = std::string(said.at("adminUrl").as_string());
      return;
    }
    std::this_thread::sleep_for(kLook);
  }
  throw Fault(ErrorCode::notReady, "the benchmark's server did not start", "try `counterfoil serve` on a ledger in the same folder");
}

void HttpServer::signal(int number) const {
  if (process_ > 0) ::kill(process_, number);
}

void HttpServer::stop() {
  signal(SIGTERM);
  const int status = await(process_);
  process_ = -1;
  if (status != 0) throw Fault(ErrorCode::internal, "the server ended with exit status " + std::to_string(status));
}

void HttpServer::kill() {
  signal(SIGKILL);
  await(process_);
  process_ = -1;
}

bool HttpServer::verifies() const {
  return runProgram({"verify", "--data", data().string(), "--quiet"}) == 0;
}

double HttpServer::recordBytes() const {
  const auto log = log::EmbeddedLog::openReadOnly(data() / "log");
  const auto reader = log->read(PartitionId{0}, log::FoldState{});
  log::ValidRecord record;
  double count = 0;
  double bytes = 0;
  while (reader->next(record)) {
    if (record.kind != log::RecordKind::entry || record.workspace == kSystemWorkspace || record.seq.value < 2) continue;
    ++count;
    bytes += static_cast<double>(record.value.size());
  }
  return count == 0 ? 0 : bytes / count;
}

std::string HttpServer::token() const {
  TokenOrder order;
  order.role = "owner";
  order.subject = "service:bench";
  return requestToken(data(), order);
}

double HttpServer::metric(const std::string& name) const {
  HttpClient client({adminUrl_, {}, {}});
  HttpRequest request;
  request.target = "/metrics";
  request.accept = "text/plain";
  std::istringstream lines(client.send(request).body);
  double sum = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name) || line.size() == name.size() || (line[name.size()] != ' ' && line[name.size()] != '{')) continue;
    sum += std::strtod(line.c_str() + line.rfind(' ') + 1, nullptr);
  }
  return sum;
}

}  // namespace counterfoil::cmd::bench
