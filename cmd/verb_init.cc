// `init`: keys, configuration and the system workspace of a new ledger.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "cmd/key_provider.h"
#include "cmd/output.h"
#include "cmd/session.h"
#include "cmd/version.h"
#include "ledger/core/encoding.h"

namespace counterfoil::cmd {
namespace {

constexpr std::int64_t kInitTimeoutMs = 10'000;

struct InitOptions {
  std::string keys;
  std::string origin = "localhost/counterfoil";
  std::string log = "embedded";
  bool join = false;
  std::string keyProvider = "file";
  std::string kmsUrl, kmsMount = "transit", kmsAuthorities, kmsCertificate, kmsCertificateKey, kmsTokenFile;
};

// The settings of a key service that were given, as they go into the configuration: absolute paths.
std::vector<std::pair<std::string, std::string>> keyServiceSettings(const InitOptions& options) {
  std::vector<std::pair<std::string, std::string>> settings;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) settings.emplace_back(name, value);
  };
  const auto addPath = [&](const char* name, const std::string& path) {
    if (!path.empty()) add(name, std::filesystem::absolute(path).lexically_normal().string());
  };
  if (options.keyProvider != "file") add("key_provider", options.keyProvider);
  add("kms_url", options.kmsUrl);
  if (options.keyProvider != "file") add("kms_mount", options.kmsMount);
  addPath("kms_token_file", options.kmsTokenFile);
  addPath("kms_ca", options.kmsAuthorities);
  addPath("kms_client_cert", options.kmsCertificate);
  addPath("kms_client_key", options.kmsCertificateKey);
  return settings;
}

// Whether a key service already has keys for this origin. Asked before anything is made: without keys there can be no ledger.
bool keysAreShared(const InitOptions& options, const std::filesystem::path& data) {
  Config config;
  config.origin = options.origin;
  config.keyProvider = options.keyProvider;
  const auto pathOf = [](const std::string& path) { return path.empty() ? path : std::filesystem::absolute(path).string(); };
  config.kmsUrl = options.kmsUrl;
  config.kmsMount = options.kmsMount;
  config.kmsTokenFile = pathOf(options.kmsTokenFile);
  config.kmsAuthorities = pathOf(options.kmsAuthorities);
  config.kmsCertificate = pathOf(options.kmsCertificate);
  config.kmsCertificateKey = pathOf(options.kmsCertificateKey);
  config.kmsTimeoutMs = kInitTimeoutMs;
  config.data = data;
  const SystemClock clock;
  crypto::SystemRandom random;
  return makeKeyProvider(config, clock, random)->currentVersion(kSystemWorkspace) != 0;
}

void makePrivateFolder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    throw Fault(ErrorCode::unreadableInput, "cannot make the folder " + path.string() + ": " + error.message(),
                "check the path and its permissions");
  if (::chmod(path.c_str(), 0700) != 0)
    throw Fault(ErrorCode::keyPermissions, "cannot set the permissions of " + path.string(), "it must belong to you");
}

// The configuration comes last and whole: a folder with it is a ledger, one without can be initialised again.
void writeConfig(const std::filesystem::path& path, const std::string& text) {
  const std::filesystem::path temporary = path.string() + ".new";
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) throw Fault(ErrorCode::diskFull, "cannot write " + path.string(), "free space and run init again");
  std::filesystem::rename(temporary, path);
}

void checkOrigin(const std::string& origin) {
  const bool plain = !origin.empty() && origin.size() <= 255 &&
                     origin.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/:") == std::string::npos;
  if (!plain || origin.find("://") != std::string::npos || origin.back() == '/') {
    throw Fault(ErrorCode::invalidValue, "the origin must be a URL without scheme, such as ledger.example.com/prod",
                "letters, digits, dots, dashes and slashes", "--origin");
  }
}

void tell(const CommonOptions& common, const Config& config, const std::filesystem::path& keys, const log::LedgerFacts& facts) {
  if (common.json) {
    print("{\"data\":\"" + config.data.string() + "\",\"keys\":\"" + keys.string() + "\",\"origin\":\"" + facts.origin +
          "\",\"ledgerId\":\"" + facts.ledgerId + "\"}");
    return;
  }
  print("ledger " + facts.origin + " in " + config.data.string());
}

// A data folder for one more node of a ledger that is there. Nothing is written to the log.
int join(const CommonOptions& common, const Config& config, const std::filesystem::path& keys, const InitOptions& options) {
  if (!isKafka(options.log)) {
    throw Fault(ErrorCode::usage, "only a ledger on Kafka has several nodes", "give --log kafka://HOST:PORT,... beside --join", "--join");
  }
  const OpenLog open = openForReading(config);
  const log::LedgerFacts facts = open.kafka->genesis().ledger;
  if (facts.origin != options.origin && options.origin != InitOptions().origin) {
    throw Fault(ErrorCode::invalidValue, "the topic holds a ledger of another origin", "leave --origin out, or name the right topic",
                "--origin");
  }
  if (std::filesystem::is_empty(keys)) {
    throw Fault(ErrorCode::keyMissing, "the keys folder " + keys.string() + " is empty",
                "give the keys folder of the ledger's other nodes with --keys: a shared folder, or a copy for trying out", "--keys");
  }
  writeConfig(config.data / kConfigFile,
              configText(facts.origin, std::filesystem::relative(keys, config.data), options.log, keyServiceSettings(options)));
  tell(common, config, keys, facts);
  if (!common.json) print("this is one more of its nodes: start it with `counterfoil serve --data " + config.data.string() + "`");
  return 0;
}

int init(const CommonOptions& common, const InitOptions& options) {
  const std::filesystem::path data = common.data;
  checkOrigin(options.origin);
  static_cast<void>(isKafka(options.log));
  if (std::filesystem::exists(data / kConfigFile)) {
    throw Fault(ErrorCode::alreadyExists, "there is a ledger in " + data.string(), "use it, or name another folder with --data");
  }
  const std::filesystem::path full = std::filesystem::absolute(data).lexically_normal();
  const std::filesystem::path clean = full.has_filename() ? full : full.parent_path();
  const std::filesystem::path keys =
      options.keys.empty() ? std::filesystem::path(clean.string() + ".keys") : std::filesystem::absolute(options.keys).lexically_normal();
  // Symbolic links resolved: the same place may have another name.
  const std::string inside = (std::filesystem::weakly_canonical(clean) / "").string();
  if ((std::filesystem::weakly_canonical(keys) / "").string().starts_with(inside)) {
    throw Fault(ErrorCode::invalidValue, "the keys folder lies inside the data folder",
                "keep keys beside the data: a copy of the data must not be enough to read it", "--keys");
  }
  if (options.keyProvider != "file" && options.keyProvider != "http_kms") {
    throw Fault(ErrorCode::invalidValue, "the key provider must be file or http_kms", "", "--key-provider");
  }
  const bool hasKeyService = options.keyProvider == "http_kms";
  if (!hasKeyService && !options.kmsUrl.empty()) {
    throw Fault(ErrorCode::usage, "--kms-url needs --key-provider http_kms", "give both, or neither");
  }
  const std::string text = configText(options.origin, std::filesystem::relative(keys, clean), options.log, keyServiceSettings(options));
  const bool shared = hasKeyService && keysAreShared(options, clean);
  makePrivateFolder(clean);
  makePrivateFolder(keys);
  SystemClock clock;
  crypto::SystemRandom random;
  const Config fresh = configBefore(clean, options.log);
  if (options.join) return join(common, fresh, keys, options);
  log::WriterIdentity identity;
  identity.name = "local";
  log::LedgerFacts facts;
  facts.ledgerId = toUuid(makeUuidV7(clock.wall(), random.bytes<10>()));
  facts.origin = options.origin;
  facts.createdAt = clock.wall();
  facts = createLog(fresh, identity, facts);
  writeConfig(clean / kConfigFile, text);

  CommonOptions here = common;
  here.data = clean.string();
  Session session(here, Access::write, true);
  RedactedEvent started = RedactedEvent::ofLedger(Kind::ledgerStarted, session.ledger().freshId());
  started.body().setText(started.arena(), Field::version, kVersion);
  const crypto::Digest digest = crypto::sha256({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  started.body().setData(started.arena(), Field::configDigest, digest);
  session.ledger().appendOwn(kSystemWorkspace, std::move(started));
  session.close();
  if (shared) {
    note(common,
         "the key service has keys of this origin already: this ledger shares them. Two ledgers that are not nodes of one need two "
         "origins: erasing in one would erase in the other");
  }
  tell(common, fresh, keys, facts);
  if (common.json) return 0;
  if (hasKeyService) {
    print("key-encryption keys in the key service: its backup decides whether the record can be read");
    print("keys that sign tokens in " + keys.string());
  } else {
    print("keys in " + keys.string() + ": copy them to a safe place; without them the record can be verified but not read");
  }
  return 0;
}

}  // namespace

void addInit(Verb app, Program& program) {
  Verb verb = app.verb("init", "Make a new ledger: keys, configuration, system workspace");
  auto options = std::make_shared<InitOptions>();
  addCommonFlags(verb, program.common, false);
  verb.option("--keys", options->keys, "Keys folder (default: <data>.keys)");
  verb.option("--origin", options->origin, "Name of the ledger: a URL without scheme").showDefault();
  verb.option("--log", options->log, "Where entries go: embedded or kafka://HOST:PORT,...[/TOPIC]").showDefault();
  verb.flag("--join", options->join, "Make a data folder for one more node of the ledger that the topic holds");
  verb.option("--key-provider", options->keyProvider, "Where key-encryption keys live: file, or http_kms for a key service").showDefault();
  verb.option("--kms-url", options->kmsUrl, "Key service that speaks the Transit API: https://HOST:PORT");
  verb.option("--kms-mount", options->kmsMount, "Path of its Transit engine").showDefault();
  verb.option("--kms-token-file", options->kmsTokenFile, "File with the token for it");
  verb.option("--kms-ca", options->kmsAuthorities, "PEM authorities that vouch for its certificate");
  verb.option("--kms-client-cert", options->kmsCertificate, "PEM certificate to show it");
  verb.option("--kms-client-key", options->kmsCertificateKey, "PEM key of that certificate");
  verb.whenGiven([&program, options] { program.run = [&program, options] { return init(program.common, *options); }; });
}

}  // namespace counterfoil::cmd
