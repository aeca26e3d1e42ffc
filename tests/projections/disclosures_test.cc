// Personal values of a page: from the log, under their commitments; nothing once a key is gone; an error when view and log disagree.
#include "projections/query/disclosures.h"

#include <boost/json.hpp>
#include <map>

#include "ledger/core/limits.h"
#include "ledger/redact/fingerprint.h"
#include "projections/query/view_reader.h"
#include "tests/projections/view_fixture.h"
#include "tests/support/manual_clock.h"

namespace counterfoil::query {
namespace {

using test::ManualClock;

// Time passes with each look at it.
class PassingClock final : public Clock {
 public:
  explicit PassingClock(std::int64_t millisecondsALook) : step_(millisecondsALook * kNanosecondsPerMillisecond) {}
  Timestamp wall() const override { return {}; }
  std::int64_t monotonicNanoseconds() const override { return now_ += step_; }
  bool synchronised() const override { return true; }

 private:
  const std::int64_t step_;
  mutable std::int64_t now_ = 0;
};

class DisclosuresTest : public views::ViewFixture {
 protected:
  redact::PersonalValue committed(const SubjectKey& key, const EntryId& id, std::string_view path, std::string_view value) {
    const redact::PersonalText text{&key, path, value, random_.bytes<12>()};
    return std::move(redact::commitTo(kOne, id, std::span(&text, 1)).front());
  }
  // A revocation whose reason and whose person are hidden.
  void revoked(const std::string& person, const std::string& reason) {
    const EntryId id{random_.bytes<16>()};
    RedactedEvent event = RedactedEvent::ofLedger(Kind::leaseRevoked, id);
    event.body().setText(event.arena(), Field::leaseId, "lease-1");
    const auto key = keys_->subject(PrincipalKind::human, person);
    for (const auto& [path, value] : std::map<std::string, std::string>{{"/actor/id", person}, {"/reason", reason}}) {
      redact::PersonalValue made = committed(*key, id, path, value);
      event.redaction().commitments.push_back(std::move(made.commitment));
      event.redaction().disclosures.push_back(std::move(made.disclosure));
    }
    ledger.add(kOne, std::move(event), ledger.time(++seconds_));
  }
  void plain() {
    ledger.add(kOne, Kind::toolInvoked, {.at = ++seconds_},
               [](Arena& arena, StructValue& body) { body.setText(arena, Field::tool, "git"); });
  }
  // Everything in the log is in the view, and its record keys are known.
  void projectAll() {
    project();
    const auto reader = ledger.log().read(PartitionId{0}, {});
    log::ValidRecord record;
    keys::OpenedRecord opened;
    while (reader->next(record)) {
      if (record.workspace != kOne || record.kind != log::RecordKind::entry) continue;
      ASSERT_EQ(keys::openRecord(*keys_, record.seq, record.leaf, record.value, opened), keys::OpenOutcome::opened);
    }
  }
  Disclosures disclosures(const DisclosureLimits& limits = {}) { return {ledger.log(), keys_, redact::disclose, clock_, limits}; }
  boost::json::object page(const std::vector<Parameter>& parameters, Disclosures& values) {
    return boost::json::parse(reader_.list(ListKind::entries, parseFilters(ListKind::entries, parameters), {}, &values)).as_object();
  }
  boost::json::object page(const std::vector<Parameter>& parameters = {}) {
    Disclosures values = disclosures();
    return page(parameters, values);
  }
  boost::json::object entry(std::uint64_t seq) {
    Disclosures values = disclosures();
    return boost::json::parse(reader_.entry(Sequence{seq}, &values)).as_object();
  }
  // The value of the reason; "<none>" without one.
  static std::string reasonOf(const boost::json::value& item) {
    const auto* reason = item.as_object().if_contains("reason");
    if (reason == nullptr || !reason->as_object().contains("value")) return "<none>";
    return std::string(reason->as_object().at("value").as_string());
  }
  ErrorCode codeOf(const std::function<void()>& call) {
    try {
      call();
    } catch (const Fault& fault) {
      return fault.code();
    }
    return ErrorCode::internal;
  }
  void change(const std::string& sql) {
    Database database = Database::open(path());
    database.execute(sql);
  }

  crypto::SystemRandom random_;
  std::unique_ptr<keys::KeyRing> ring_ = ledger.newRing();
  std::shared_ptr<keys::WorkspaceKeys> keys_ = ring_->workspace(kOne);
  ManualClock clock_;
  ViewReader reader_{folder(), kOne};
  std::int64_t seconds_ = 0;
};

TEST_F(DisclosuresTest, ValuesStandUnderTheirCommitmentsAndNowhereElse) {
  const std::string hard = "\"quoted\" \\ \t tab\nline \xF0\x9F\xA6\x8A \xC3\xA9 \\u0000 </script>" + std::string(8'000, 'x');
  revoked("alice", "because of \"x\"");
  plain();
  revoked("bob", hard);
  revoked("alice", "");
  projectAll();
  for (const char* order : {"asc", "desc"}) {
    const boost::json::object found = page({{"order", order}});
    ASSERT_EQ(found.at("items").as_array().size(), 4U);
    for (const auto& item : found.at("items").as_array()) {
      const std::uint64_t seq = item.at("seq").to_number<std::uint64_t>();
      if (seq == 1) {
        EXPECT_EQ(boost::json::serialize(item).find("\"value\""), std::string::npos) << item;
        continue;
      }
      EXPECT_EQ(reasonOf(item), seq == 0 ? "because of \"x\"" : seq == 2 ? hard : "") << order;
      const boost::json::object& other = item.at("commitments").as_array().at(0).as_object();
      EXPECT_EQ(other.at("path").as_string(), "/actor/id");
      EXPECT_EQ(other.at("value").as_string(), seq == 2 ? "bob" : "alice");
      EXPECT_EQ(entry(seq), item.as_object());
    }
  }
  EXPECT_TRUE(boost::json::parse(reader_.entry(Sequence{0})).at("reason").as_object().contains("commitment"));
  EXPECT_EQ(reader_.list(ListKind::entries, {}, {}).find("\"value\""), std::string::npos) << "nobody asked for them";
}

TEST_F(DisclosuresTest, WhoseKeyIsGoneIsNotShownAndTheOthersAre) {
  revoked("alice", "one");
  revoked("bob", "two");
  projectAll();
  keys_->forget(keys_->findSubject(PrincipalKind::human, "alice")->id());
  const auto items = page({{"order", "asc"}}).at("items").as_array();
  EXPECT_EQ(reasonOf(items[0]), "<none>");
  EXPECT_TRUE(items[0].at("reason").as_object().contains("commitment"));
  EXPECT_EQ(boost::json::serialize(items[0]).find("alice"), std::string::npos);
  EXPECT_EQ(reasonOf(items[1]), "two");
}

TEST_F(DisclosuresTest, ARecordWhoseKeyIsGoneGivesNone) {
  revoked("alice", "one");
  projectAll();
  keys_->forget(keys_->logKey(ledger.time(1))->id);
  EXPECT_EQ(reasonOf(entry(0)), "<none>");
}

TEST_F(DisclosuresTest, ARecordThatIsNotTheViewsIsDamageOfTheView) {
  revoked("alice", "one");
  revoked("bob", "two");
  projectAll();
  const std::string place = one("SELECT log_position FROM content WHERE seq = 0");
  for (const std::string wrong : {"0", "1", "1000", "9223372036854775807", "-1"}) {
    change("UPDATE content SET log_position = " + wrong + " WHERE seq = 0");
    EXPECT_EQ(codeOf([&] { entry(0); }), ErrorCode::viewDamaged) << wrong;
    EXPECT_EQ(codeOf([&] { page(); }), ErrorCode::viewDamaged) << wrong;
  }
  // Another entry of the same workspace: its leaf is not this one's.
  change("UPDATE content SET log_position = (SELECT log_position FROM content WHERE seq = 1) WHERE seq = 0");
  EXPECT_EQ(codeOf([&] { entry(0); }), ErrorCode::viewDamaged);
  EXPECT_NO_THROW(reader_.entry(Sequence{0})) << "without values it does not matter";
  change("UPDATE content SET log_position = " + place + " WHERE seq = 0");
  EXPECT_EQ(reasonOf(entry(0)), "one");
  // What keeps an entry from being looked for must not hide its values in silence.
  change("UPDATE entry SET flags = 0 WHERE seq = 0");
  EXPECT_EQ(codeOf([&] { entry(0); }), ErrorCode::viewDamaged);
}

TEST_F(DisclosuresTest, AValueThatIsNotTheCommittedOneIsDamageOfTheLog) {
  const EntryId id{random_.bytes<16>()};
  RedactedEvent event = RedactedEvent::ofLedger(Kind::leaseRevoked, id);
  const auto key = keys_->subject(PrincipalKind::human, "alice");
  event.redaction().commitments.push_back(committed(*key, id, "/reason", "said").commitment);
  event.redaction().disclosures.push_back(committed(*key, id, "/reason", "not said").disclosure);
  ledger.add(kOne, std::move(event), ledger.time(1));
  projectAll();
  EXPECT_EQ(codeOf([&] { entry(0); }), ErrorCode::logDamaged);
}

TEST_F(DisclosuresTest, WithoutTheLogThereIsNoAnswerThatLooksWhole) {
  revoked("alice", "one");
  plain();
  projectAll();
  ledger.partitions().setUnavailable(true);
  EXPECT_EQ(codeOf([&] { entry(0); }), ErrorCode::logUnavailable);
  EXPECT_EQ(codeOf([&] { page(); }), ErrorCode::logUnavailable);
  EXPECT_NO_THROW(entry(1)) << "it has none";
  ledger.partitions().setUnavailable(false);
  ledger.partitions().damage(PartitionId{0}, Position{std::stoull(one("SELECT log_position FROM content WHERE seq = 0"))});
  EXPECT_EQ(codeOf([&] { entry(0); }), ErrorCode::logDamaged);
}

// ---- what a page may cost ----

class DisclosurePages : public DisclosuresTest {
 protected:
  static constexpr std::size_t kEntries = 150;
  static constexpr std::size_t kValueBytes = 1'000;

  void SetUp() override {
    for (std::size_t index = 0; index < kEntries; ++index) {
      std::string reason = std::to_string(index);
      reason.resize(kValueBytes, '.');
      revoked("alice", reason);
    }
    projectAll();
  }
  // All entries, page by page, each with its own value; how many each page had.
  std::vector<std::size_t> pages(const char* order, const std::function<Disclosures()>& make) {
    std::vector<std::size_t> sizes;
    std::vector<std::uint64_t> seqs;
    std::string after;
    do {
      std::vector<Parameter> parameters = {{"order", order}, {"limit", "100"}};
      if (!after.empty()) parameters.emplace_back("after", after);
      Disclosures values = make();
      const boost::json::object found = page(parameters, values);
      sizes.push_back(found.at("items").as_array().size());
      for (const auto& item : found.at("items").as_array()) {
        seqs.push_back(item.at("seq").to_number<std::uint64_t>());
        EXPECT_TRUE(reasonOf(item).starts_with(std::to_string(seqs.back()) + '.')) << seqs.back();
      }
      after = found.at("next").is_null() ? std::string() : std::string(found.at("next").as_string());
    } while (!after.empty() && sizes.size() < 100);
    EXPECT_EQ(seqs.size(), kEntries) << order;
    for (std::size_t index = 0; index < seqs.size(); ++index) {
      EXPECT_EQ(seqs[index], std::string_view(order) == "asc" ? index : kEntries - 1 - index);
    }
    return sizes;
  }
};

TEST_F(DisclosurePages, APageThatGrowsTooLargeEndsEarlyWithACursor) {
  for (const char* order : {"asc", "desc"}) {
    EXPECT_EQ(pages(order, [&] { return disclosures(); }), (std::vector<std::size_t>{100, 50}));
    // Looked at behind every batch: what is over the limit is less than a batch.
    const DisclosureLimits limits{40 * (kValueBytes + 5), 5'000};
    EXPECT_EQ(pages(order, [&] { return disclosures(limits); }), (std::vector<std::size_t>{64, 64, 22}));
  }
}

TEST_F(DisclosurePages, APageThatTakesTooLongEndsEarlyWithACursor) {
  const PassingClock clock(10);  // a look for each record, one behind each batch, one at the beginning
  const auto within = [&](std::int64_t milliseconds) {
    return [&, milliseconds] { return Disclosures(ledger.log(), keys_, redact::disclose, clock, {1'000'000, milliseconds}); };
  };
  for (const char* order : {"asc", "desc"}) {
    const auto sizes = pages(order, within(1'000));
    EXPECT_EQ(sizes, (std::vector<std::size_t>{96, 54})) << order;
    EXPECT_EQ(pages(order, within(500)), (std::vector<std::size_t>{32, 32, 32, 32, 22})) << order;
  }
  Disclosures slow = within(100)();
  EXPECT_EQ(codeOf([&] { page({}, slow); }), ErrorCode::logUnavailable) << "not even the first entries";
  Disclosures slowest = within(0)();
  EXPECT_EQ(codeOf([&] { reader_.entry(Sequence{3}, &slowest); }), ErrorCode::logUnavailable);
}

TEST_F(DisclosurePages, TheLogIsReadForwardsWhateverTheOrder) {
  // Positions as the log is asked for them.
  class Watched final : public log::EventLog {
   public:
    explicit Watched(log::EventLog& log) : log_(log) {}
    std::uint64_t incarnation() const override { return log_.incarnation(); }
    std::uint32_t partitions() const override { return log_.partitions(); }
    PartitionId partitionOf(WorkspaceNumber workspace) const override { return log_.partitionOf(workspace); }
    std::unique_ptr<log::PartitionReader> read(PartitionId partition, const log::FoldState& from) override {
      return log_.read(partition, from);
    }
    std::unique_ptr<log::RecordFinder> finder(PartitionId partition) override {
      class Finder final : public log::RecordFinder {
       public:
        Finder(std::unique_ptr<log::RecordFinder> inner, std::vector<std::uint64_t>& asked) : inner_(std::move(inner)), asked_(asked) {}
        bool find(Position position, log::StoredRecord& record) override {
          asked_.push_back(position.value);
          return inner_->find(position, record);
        }

       private:
        std::unique_ptr<log::RecordFinder> inner_;
        std::vector<std::uint64_t>& asked_;
      };
      ++finders;
      return std::make_unique<Finder>(log_.finder(partition), asked);
    }
    std::unique_ptr<log::PartitionWriter> takeOver(PartitionId partition, log::FoldState& from,
                                                   const std::function<void(log::ValidRecord&)>& apply) override {
      return log_.takeOver(partition, from, apply);
    }
    void onAppended(std::function<void()> notify) override { log_.onAppended(std::move(notify)); }

    std::vector<std::uint64_t> asked;
    int finders = 0;

   private:
    log::EventLog& log_;
  };
  Watched watched(ledger.log());
  Disclosures values(watched, keys_, redact::disclose, clock_);
  page({{"order", "desc"}, {"limit", "80"}}, values);
  EXPECT_EQ(watched.finders, 1) << "one for the page";
  ASSERT_EQ(watched.asked.size(), 80U);
  std::size_t backwards = 0;
  for (std::size_t index = 1; index < watched.asked.size(); ++index) backwards += watched.asked[index] < watched.asked[index - 1] ? 1 : 0;
  EXPECT_EQ(backwards, 2U) << "between three batches";
}

}  // namespace
}  // namespace counterfoil::query
