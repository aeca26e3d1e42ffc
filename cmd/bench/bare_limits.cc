#include "cmd/bench/bare_limits.h"

#include <sqlite3.h>

#include <memory>
#include <string>
#include <vector>

#include "cmd/bench/scratch.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/aead.h"
#include "ledger/crypto/digest.h"

namespace counterfoil::cmd::bench {
namespace {

struct Closer {
  void operator()(sqlite3* handle) const { sqlite3_close(handle); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

void check(bool fine) {
  if (!fine)
    throw Fault(ErrorCode::unreadableInput, "SQLite refuses to work in the scratch folder", "name another one with --dir", "--dir");
}

// Operations a second of a thread's processor time.
template <class Operation>
double perSecond(Operation&& operation) {
  constexpr unsigned kCount = 200'000;
  for (unsigned index = 0; index < kCount / 20; ++index) operation(index);
  const CpuWatch watch(CpuWatch::Of::thread);
  for (unsigned index = 0; index < kCount; ++index) operation(index);
  return kCount / watch.seconds();
}

}  // namespace

CommitLimit sqliteCommits(const std::filesystem::path& folder, std::size_t bytes, std::size_t batch, double seconds) {
  const ScratchFolder scratch(folder);
  sqlite3* opened = nullptr;
  const int code = sqlite3_open((scratch.path() / "bare.db").c_str(), &opened);
  const std::unique_ptr<sqlite3, Closer> handle(opened);
  check(code == SQLITE_OK);
  const auto execute = [&](const char* sql) { check(sqlite3_exec(handle.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK); };
  execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE record (position INTEGER PRIMARY KEY, value BLOB NOT NULL)");
  sqlite3_stmt* prepared = nullptr;
  check(sqlite3_prepare_v2(handle.get(), "INSERT INTO record (value) VALUES (?1)", -1, &prepared, nullptr) == SQLITE_OK);
  const std::unique_ptr<sqlite3_stmt, Closer> insert(prepared);
  Dice dice(1);
  const std::string value = dice.letters(bytes);
  Samples samples;
  std::uint64_t rows = 0;
  const Stopwatch whole;
  while (whole.seconds() < seconds) {
    const Stopwatch one;
    execute("BEGIN IMMEDIATE");
    for (std::size_t index = 0; index < batch; ++index, ++rows) {
      sqlite3_bind_blob(insert.get(), 1, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
      check(sqlite3_step(insert.get()) == SQLITE_DONE);
      sqlite3_reset(insert.get());
    }
    execute("COMMIT");
    samples.add(one.microseconds());
  }
  return {samples.percentile(0.5), samples.percentile(0.99), static_cast<double>(rows) / whole.seconds()};
}

double sha256PerSecond(std::size_t bytes) {
  std::vector<std::uint8_t> data(bytes, 7);
  return perSecond([&](unsigned index) { data[index % bytes] ^= crypto::sha256(crypto::Bytes(data))[0]; });
}

double sealsPerSecond(std::size_t bytes) {
  const std::vector<std::uint8_t> secret(crypto::kAeadKeySize, 7);
  const crypto::AeadKey key{crypto::Bytes(secret)};
  const std::vector<std::uint8_t> plain(bytes, 7);
  std::vector<std::uint8_t> sealed(bytes + crypto::kAeadTagSize);
  crypto::AeadNonce nonce{};
  return perSecond([&](unsigned index) {
    nonce[0] = static_cast<std::uint8_t>(index);
    nonce[1] = static_cast<std::uint8_t>(index >> 8);
    nonce[2] = static_cast<std::uint8_t>(index >> 16);
    key.seal(nonce, {}, plain, sealed);
  });
}

}  // namespace counterfoil::cmd::bench
