// `doctor`: looks at a ledger and its surroundings and says what is wrong and what to do; with --accept-clock vouches for the wall clock.
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <filesystem>

#include "cmd/key_provider.h"
#include "cmd/log_choice.h"
#include "cmd/log_source.h"
#include "cmd/output.h"
#include "cmd/session.h"
#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/log/kafka/kafka_checkup.h"

namespace counterfoil::cmd {
namespace {

constexpr std::uint64_t kLowDiskBytes = 1ULL << 30;
constexpr std::chrono::milliseconds kKafkaPatience{5'000};
constexpr std::int64_t kSlowKeyServiceMicroseconds = 50'000;

struct Finding {
  std::string check;
  std::string state;  // ok, warning, problem
  std::string detail;
  std::string hint;
};

class Doctor {
 public:
  explicit Doctor(const CommonOptions& common) : common_(common) {}

  int examine() {
    Config config;
    try {
      config = readConfig(common_);
      add("configuration", "ok", (config.data / kConfigFile).string(), "");
    } catch (const Fault& fault) {
      add("configuration", "problem", fault.detail(), fault.hint());
      return finish();
    }
    folder("data folder", config.data);
    folder("keys folder", config.keys);
    keyFiles(config);
    if (config.hasKeyService()) keyService(config);
    place(config);
    disk(config);
    clock();
    logReads(config);
    snapshot(config);
    return finish();
  }

 private:
  void add(std::string check, std::string state, std::string detail, std::string hint) {
    findings_.push_back({std::move(check), std::move(state), std::move(detail), std::move(hint)});
  }

  void folder(const char* what, const std::filesystem::path& path) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) {
      add(what, "problem", path.string() + " is not there", "restore it from its backup");
    } else if ((facts.st_mode & 077) != 0) {
      add(what, "problem", path.string() + " can be read by others", "chmod 700 " + path.string());
    } else {
      add(what, "ok", path.string(), "");
    }
  }

  void keyFiles(const Config& config) {
    std::error_code error;
    std::uint64_t files = 0;
    for (const auto& item : std::filesystem::recursive_directory_iterator(config.keys, error)) {
      struct stat facts {};
      if (!item.is_regular_file(error) || ::lstat(item.path().c_str(), &facts) != 0) continue;
      ++files;
      if ((facts.st_mode & 077) != 0)
        add("key file", "problem", item.path().string() + " can be read by others", "chmod 600 " + item.path().string());
    }
    if (config.hasKeyService()) return;
    if (files == 0)
      add("key files", "problem", "no key in " + config.keys.string(),
          "restore the keys folder; without it the record can be verified but not read");
    else
      add("key files", "ok", grouped(files) + " key files", "");
  }

  // What a request of serving would meet: settings, token, certificate, permission; and how long an answer takes.
  void keyService(const Config& config) {
    const SystemClock clock;
    crypto::SystemRandom random;
    try {
      const auto provider = makeKeyProvider(config, clock, random);
      const std::uint32_t version = provider->currentVersion(kSystemWorkspace);  // a connection as well
      const std::int64_t asked = clock.monotonicNanoseconds();
      static_cast<void>(provider->currentVersion(kSystemWorkspace));
      const std::int64_t tookMicroseconds = (clock.monotonicNanoseconds() - asked) / 1'000;
      if (version == 0) {
        add("key service", "problem", "it answers, and has no key of this ledger",
            "is kms_mount right, and the origin unchanged? Else restore its storage; without the keys the record can be verified but not "
            "read");
        return;
      }
      const bool slow = tookMicroseconds > kSlowKeyServiceMicroseconds;
      add("key service", slow ? "warning" : "ok", "answers in " + grouped(static_cast<std::uint64_t>(tookMicroseconds)) + " \u00b5s",
          slow ? "each new key waits for it: look at the network between" : "");
    } catch (const Fault& fault) {
      add("key service", "problem", fault.detail(), fault.hint());
    }
  }

  void place(const Config& config) {
    const std::string data = std::filesystem::weakly_canonical(config.data).string() + "/";
    if (std::filesystem::weakly_canonical(config.keys).string().starts_with(data)) {
      add("keys beside data", "warning", "the keys folder lies inside the data folder",
          "move it out and set keys in counterfoil.toml: a copy of the data must not be enough to read it");
    }
  }

  void disk(const Config& config) {
    struct statvfs facts {};
    if (::statvfs(config.data.c_str(), &facts) != 0) return;
    const std::uint64_t bytes = static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize;
    add("disk", bytes < kLowDiskBytes ? "warning" : "ok", grouped(bytes >> 20) + " MiB free",
        bytes < kLowDiskBytes ? "free space: a full disk stops recording (nothing recorded is lost)" : "");
  }

  void clock() {
    const SystemClock clock;
    if (clock.synchronised()) {
      add("clock", "ok", "synchronised", "");
    } else {
      add("clock", "warning", "the kernel does not report a synchronised clock",
          "run a time service; after a pause of more than 24 hours the ledger asks for `counterfoil doctor --accept-clock`");
    }
  }

  void kafka(const Config& config) {
    try {
      for (const log::KafkaFinding& finding : log::examineKafka(kafkaSettings(config), kKafkaPatience)) {
        const bool ok = finding.state == log::KafkaFinding::State::ok;
        add(finding.check,
            ok                                                   ? "ok"
            : finding.state == log::KafkaFinding::State::warning ? "warning"
                                                                 : "problem",
            finding.detail, finding.hint);
      }
    } catch (const Fault& fault) {
      add("Kafka settings", "problem", fault.detail(), fault.hint());
    }
  }

  void logReads(const Config& config) {
    if (isKafka(config.log)) return kafka(config);
    try {
      const OpenLog open = openForReading(config);
      const auto reader = open.log->read(open.log->partitionOf(kSystemWorkspace), log::FoldState{});
      log::ValidRecord record;
      std::uint64_t records = 0;
      while (reader->next(record)) ++records;
      add("log", "ok", grouped(records) + " records, " + grouped(reader->state().heads.size()) + " workspaces", "");
      if (reader->state().voids != 0)
        add("void records", "warning", grouped(reader->state().voids) + " records do not count",
            "evidence of a second writer; `counterfoil verify` says whether the chains are whole");
    } catch (const Fault& fault) {
      add("log", "problem", fault.detail(), fault.hint());
    }
  }

  void snapshot(const Config& config) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(config.snapshotsFolder(), error)) {
      if (entry.path().extension() == ".snapshot") add("snapshot", "ok", entry.path().string(), "");
    }
  }

  int finish() {
    bool problem = false;
    Table table({"CHECK", "STATE", "DETAIL", "WHAT TO DO"});
    for (const Finding& finding : findings_) {
      problem = problem || finding.state == "problem";
      if (common_.json) {
        std::string out;
        JsonObject object(out);
        object.text("check", finding.check).text("state", finding.state).text("detail", finding.detail);
        if (!finding.hint.empty()) object.text("hint", finding.hint);
        object.end();
        print(out);
      } else {
        table.row({finding.check, finding.state, finding.detail, finding.hint});
      }
    }
    if (!common_.json) table.print(common_);
    return problem ? 1 : 0;
  }

  CommonOptions common_;
  std::vector<Finding> findings_;
};

int acceptClock(const CommonOptions& common) {
  Session session(common, Access::write, true);
  // An entry at the accepted time: from now on the ledger's clock goes on from here.
  RedactedEvent event = RedactedEvent::ofLedger(Kind::clockJumped, session.ledger().freshId());
  event.body().setTime(Field::to, session.clock().wall());
  event.body().setFlag(Field::accepted, true);
  setPrincipal(event.arena(), event.common(), Field::actor, {PrincipalKind::operatorPerson, event.arena().copy(Session::operatorName())});
  const write::Answer answer = session.ledger().appendOwn(kSystemWorkspace, std::move(event));
  session.ledger().drain();
  session.close();
  print("clock accepted at " + toRfc3339(answer.receipt->recordedAt));
  return 0;
}

}  // namespace

void addDoctor(Verb app, Program& program) {
  Verb verb = app.verb("doctor", "What is wrong with this ledger, and what to do");
  addCommonFlags(verb, program.common, false);
  auto accept = std::make_shared<bool>(false);
  verb.flag("--accept-clock", *accept, "Vouch for the wall clock after a jump; recorded");
  verb.whenGiven([&program, accept] {
    program.run = [&program, accept] { return *accept ? acceptClock(program.common) : Doctor(program.common).examine(); };
  });
}

}  // namespace counterfoil::cmd
