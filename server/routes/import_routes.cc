#include "server/routes/import_routes.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <initializer_list>
#include <mutex>
#include <optional>

#include "ledger/core/json.h"
#include "ledger/core/limits.h"
#include "ledger/crypto/wiping.h"
#include "ledger/redact/fingerprint.h"
#include "ledger/write/import_support.h"
#include "server/auth/roles.h"
#include "server/auth/strict_json.h"
#include "server/await.h"
#include "server/imports.h"
#include "server/problem.h"
#include "server/routes/commands.h"
#include "server/routes/read_support.h"
#include "server/routes/secret_body.h"
#include "server/view_readers.h"

namespace counterfoil::server {
namespace {

constexpr std::chrono::milliseconds kDueLook{20};
constexpr int kDueLooks = 500;  // ten seconds in all

struct ImportBody {
  std::string source, producer;
  std::optional<std::uint64_t> since;
};

// Throws what parseStrictJson() throws, unknownField, invalidValue.
ImportBody readImportBody(std::string_view body, std::initializer_list<std::string_view> known) {
  StrictJson document = parseStrictJson(body);
  ImportBody result;
  for (auto& [name, value] : document.members) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw Fault(ErrorCode::unknownField, "the body has a member that this route does not take", "see /openapi.json");
    }
    const bool isNumber = name == "since";
    if (value.type != (isNumber ? StrictJson::Type::number : StrictJson::Type::text) || (!isNumber && value.text.empty())) {
      throw Fault(ErrorCode::invalidValue, "/" + name + " is of another type", "see /openapi.json", "/" + name);
    }
    if (name == "producer" && !isRecordId(value.text)) {
      throw Fault(ErrorCode::invalidValue, "/producer is no id of a producer", "as the facts have it", "/producer");
    }
    if (isNumber) {
      result.since = static_cast<std::uint64_t>(value.number);
    } else {
      (name == "source" ? result.source : result.producer) = std::move(value.text);
    }
  }
  return result;
}

// Entries of the workspace that are durable.
asio::awaitable<std::uint64_t> durableSize(Service& service, WorkspaceNumber workspace) {
  const auto ask = [&service, workspace] {
    std::uint64_t size = 0;
    service.ledger.inspectDurable(workspace, [&](const write::PartitionState& state) {
      const WorkspaceState* found = state.findWorkspace(workspace);
      size = found == nullptr ? 0 : found->head().size();
    });
    return size;
  };
  co_return co_await onPool(service.blocking, ask);
}

asio::awaitable<std::uint64_t> waitForWholeView(Service& service, WorkspaceNumber workspace) {
  const std::uint64_t size = co_await durableSize(service, workspace);
  std::optional<std::uint64_t> newest;
  if (size > 0) newest = size - 1;
  co_await waitForView(service, workspace, newest);
  co_return size;
}

std::shared_ptr<ImportUse> useOf(Call& call, Service& service, std::string_view import) {
  if (!permits(call.caller.role, Action::importFacts)) {
    throw Fault(ErrorCode::notAllowed, "the token does not allow imports", "ask for a token of an admin");
  }
  return service.imports.use(import, workspaceOf(service, call), call.caller.subject);
}

// ---- begin ----

asio::awaitable<Response> beginImport(Call& call, Service& service) {
  checkParameters(call.exchange.head(), {});
  const WorkspaceNumber workspace = workspaceOf(service, call);
  const std::string_view body = co_await jsonBody(call.exchange, limits::kJsonBodyBytesMax);
  const ImportBody wanted = readImportBody(body, {"source", "since"});
  if (!isImportSource(wanted.source)) {
    throw Fault(ErrorCode::invalidValue, "/source is no source of imports", "import/cloudtrail or import/vault", "/source");
  }
  const std::uint64_t before = co_await durableSize(service, workspace);
  if (wanted.since.value_or(0) > before) {
    throw Fault(ErrorCode::noSuchItem, "/since is beyond the record", "it is a seq that an earlier begin was answered", "/since");
  }
  const auto use = service.imports.begin(workspace, wanted.source, call.caller.subject, Sequence{wanted.since.value_or(before)});
  std::optional<Fault> failed;
  try {
    // What an earlier import recorded must be seen before the first fact of this one is looked for.
    co_await waitForWholeView(service, workspace);
  } catch (const Fault& fault) {
    failed = fault;
  }
  if (failed) {
    use->end();
    throw *failed;
  }
  std::string out;
  JsonObject object(out);
  object.text("import", use->id()).text("source", use->source()).number("since", use->since().value);
  object.end();
  co_return json(201, std::move(out));
}

// ---- which lease a credential belongs to ----

asio::awaitable<Response> findLease(Call& call, Service& service) {
  checkParameters(call.exchange.head(), {});
  const auto use = useOf(call, service, call.variable("import"));
  const WorkspaceNumber workspace = use->workspace();
  takeFromLimits(call, service, call.variable("workspace"), 1, false);
  const std::string_view body = co_await jsonBody(call.exchange, limits::kJsonBodyBytesMax);
  crypto::Digest digest = secretDigest(body);
  const std::vector<std::string> fingerprints = redact::fingerprintTexts(*service.ledger.keyRing().workspace(workspace), digest);
  crypto::wipe(digest.data(), digest.size());
  const auto find = [&] {
    std::optional<std::string> lease;
    service.ledger.inspectDurable(workspace, [&](const write::PartitionState& state) {
      const WorkspaceState* found = state.findWorkspace(workspace);
      lease = found == nullptr ? std::nullopt : write::reportedLeaseOf(*found, fingerprints, use->source());
    });
    return lease;
  };
  const std::optional<std::string> lease = co_await onPool(service.blocking, find);
  // One entry a minute, however many are asked for.
  const std::vector<query::Parameter> nothing;
  co_await recordReading(service, call, workspace, "imports/leases", nothing, lease ? 1 : 0);
  std::string out;
  JsonObject object(out);
  if (lease) object.text("lease", *lease);
  object.end();
  co_return json(200, std::move(out));
}

// ---- facts ----

// What a request's facts have met: once one could not be taken for now, those behind it are not either, or they would be recorded before
// it.
struct Halt {
  std::mutex mutex;
  std::optional<Fault> fault;
  void set(const Fault& why) {
    const std::lock_guard lock(mutex);
    if (!fault) fault = why;
  }
  std::optional<Fault> get() {
    const std::lock_guard lock(mutex);
    return fault;
  }
};

bool isForLater(const Fault& fault) {
  const int status = factsOf(fault.code()).httpStatus;
  return status == 429 || status == 503 || status == 507;
}

bool isUuidV8(const EntryId& id) {
  return (id.bytes[6] >> 4) == 8 && (id.bytes[8] >> 6) == 2;
}

class ImportedLines final : public FactLines {
 public:
  ImportedLines(Call& call, Service& service, std::shared_ptr<FactResults> results, std::shared_ptr<ImportUse> use)
      : call_(call), service_(service), results_(std::move(results)), use_(std::move(use)), workspace_(call.variable("workspace")) {}

  void take(std::string_view text, std::size_t place) override {
    Event fact = parseFact(text);
    if (!isUuidV8(fact.id)) {
      throw Fault(ErrorCode::invalidValue, "the id of an imported fact must be a UUIDv8", "make it from the source's own id", "/id");
    }
    if (fact.common.get(Field::occurredAt).absent()) {
      throw Fault(ErrorCode::invalidValue, "/occurredAt is required", "the time that the source gives", "/occurredAt");
    }
    if (fact.common.text(Field::producer).empty()) {
      throw Fault(ErrorCode::invalidValue, "/producer is required", "who of the source reports it", "/producer");
    }
    fact.common.setText(fact.arena, Field::source, use_->source());
    fact.lenient = true;
    bytes_ += text.size();
    places_.push_back({fact.id, fact.common.time(Field::occurredAt)});
    taken_.push_back({std::move(fact), place});
  }

  bool isFull() const override { return taken_.size() >= kTakenMax || bytes_ >= kTakenBytesMax; }

  asio::awaitable<void> handOn() override {
    if (taken_.empty()) co_return;
    if (const auto size = use_->sizeToWaitFor()) {
      const std::optional<std::uint64_t> newest = *size - 1;
      co_await waitForView(service_, use_->workspace(), newest);
    }
    const auto look = [this] { return service_.readers.of(use_->workspace())->findRecorded(places_); };
    const query::RecordedFacts recorded = co_await onPool(service_.blocking, look);
    use_->forgetBelow(recorded.size);
    for (Taken& one : taken_) decide(one, recorded);
    taken_.clear();
    places_.clear();
    bytes_ = 0;
  }

 private:
  static constexpr std::size_t kTakenMax = 256;
  static constexpr std::size_t kTakenBytesMax = 1024 * 1024;
  static_assert(kTakenMax <= kFactsOutstandingMax);

  struct Taken {
    Event fact;
    std::size_t place;
  };

  void decide(Taken& one, const query::RecordedFacts& recorded) {
    const EntryId id = one.fact.id;
    const auto found = std::lower_bound(recorded.found.begin(), recorded.found.end(), id,
                                        [](const query::RecordedFact& fact, const EntryId& wanted) { return fact.id < wanted; });
    std::optional<write::Receipt> receipt;
    if (found != recorded.found.end() && found->id == id) {
      receipt = write::Receipt{use_->workspace(), found->seq, found->leaf, id, found->recordedAt};
    } else {
      receipt = use_->recent(id);
    }
    if (receipt) {
      write::Answer known;
      known.kind = one.fact.kind;
      known.receipt = receipt;
      known.replayed = true;
      results_->answer(one.place, known);
      return;
    }
    std::optional<Fault> refusal = halt_->get();
    try {
      if (!refusal) takeFromLimits(call_, service_, workspace_, 1, false);
    } catch (const Fault& fault) {
      refusal = fault;
      halt_->set(fault);
    }
    if (!refusal && !use_->give(id)) {
      refusal = Fault(ErrorCode::notReady, "the same fact is being recorded", "ask again with the same id").askAgainAfter(1);
    }
    if (refusal) {
      results_->refuse(one.place, *refusal);
      return;
    }
    append(one);
  }

  void append(Taken& one) {
    write::ImportCounts reached;
    reached.reached(one.fact.common);
    const EntryId id = one.fact.id;
    const Kind kind = one.fact.kind;
    std::string producer(one.fact.common.text(Field::producer));
    // Holds the import until everything that was given to the ledger has its answer: a request that breaks off frees it no sooner. Freed
    // before the answer is told: who has it may send the next request at once.
    const auto done = [use = use_, halt = halt_, told = results_->completion(one.place), id, kind, reached, producer](
                          const write::Answer* answer, const Fault* fault) mutable {
      if (answer != nullptr && answer->receipt) {
        use->recorded(*answer->receipt, kind, producer, reached);
      } else {
        use->refused(id);
        if (fault != nullptr && isForLater(*fault)) halt->set(*fault);
        // It may be in the log after all: the next import looks when the view has everything.
        if (fault != nullptr && fault->code() == ErrorCode::indeterminate) use->end();
      }
      use.reset();
      told(answer, fault);
    };
    service_.ledger.appendImported(workspace_, std::move(one.fact), done);
  }

  Call& call_;
  Service& service_;
  std::shared_ptr<FactResults> results_;
  std::shared_ptr<ImportUse> use_;
  const std::string workspace_;
  std::shared_ptr<Halt> halt_ = std::make_shared<Halt>();
  std::vector<Taken> taken_;
  std::vector<query::ImportedFact> places_;
  std::size_t bytes_ = 0;
};

// ---- finish ----

// import.finished, unless nothing of the producer was recorded since the last one. The answer says which.
asio::awaitable<Response> finishProducer(Service& service, std::shared_ptr<ImportUse> use, std::string producer) {
  const WorkspaceNumber workspace = use->workspace();
  const auto ask = [&] {
    bool unfinished = false;
    service.ledger.inspect(workspace, [&](const write::PartitionState& state) {
      const WorkspaceState* found = state.findWorkspace(workspace);
      unfinished = found != nullptr && write::isUnfinished(*found, use->source(), producer);
    });
    return unfinished;
  };
  const bool unfinished = co_await onPool(service.blocking, ask);
  if (unfinished) {
    RedactedEvent event = write::importFinished(use->source(), producer, use->countsOf(producer), service.ledger.freshId(workspace));
    const auto submit = [&](write::Completion done) { service.ledger.appendOwn(workspace, std::move(event), std::move(done)); };
    static_cast<void>(co_await recorded(submit));
  }
  std::string out;
  JsonObject object(out);
  object.text("producer", producer).boolean("recorded", unfinished);
  object.end();
  co_return json(200, std::move(out));
}

// Until every lease of the source whose end has come has it on the record. A clock that stands still ends nothing: then there is nothing to
// wait for.
asio::awaitable<void> waitForEnds(Service& service, const ImportUse& use) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor);
  const auto ask = [&] {
    bool due = false;
    service.ledger.inspect(use.workspace(), [&](const write::PartitionState& state) {
      const WorkspaceState* found = state.findWorkspace(use.workspace());
      due = found != nullptr && write::hasLeasesDue(*found, use.source(), service.clock.wall());
    });
    return due && !service.ledger.status().clockPaused;
  };
  for (int look = 0; look < kDueLooks; ++look) {
    const bool due = co_await onPool(service.blocking, ask);
    if (!due) co_return;
    timer.expires_after(kDueLook);
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  throw Fault(ErrorCode::notReady, "ends of leases are still being recorded", "ask again").askAgainAfter(1);
}

asio::awaitable<Response> finishImport(Call& call, Service& service) {
  checkParameters(call.exchange.head(), {});
  const auto use = useOf(call, service, call.variable("import"));
  const std::string_view body = co_await jsonBody(call.exchange, limits::kJsonBodyBytesMax);
  const ImportBody wanted = readImportBody(body, {"producer"});
  if (!wanted.producer.empty()) co_return co_await finishProducer(service, use, wanted.producer);
  co_await waitForEnds(service, *use);
  co_await waitForWholeView(service, use->workspace());
  const auto count = [&] { return service.readers.of(use->workspace())->countCaused(use->source(), use->since()); };
  const std::map<std::string, std::uint64_t> caused = co_await onPool(service.blocking, count);
  use->end();
  std::string kinds;
  JsonObject byKind(kinds);
  for (const auto& [kind, number] : caused) byKind.number(kind, number);
  byKind.end();
  std::string out;
  JsonObject object(out);
  object.raw("byKind", kinds);
  object.end();
  co_return json(200, std::move(out));
}

RouteDocs importDocs(const char* summary, const char* body, const char* answer, int status) {
  RouteDocs docs;
  docs.summary = summary;
  docs.body = body;
  docs.answer = answer;
  docs.statuses = {status};
  return docs;
}

}  // namespace

std::unique_ptr<FactLines> importedLines(Call& call, Service& service, std::shared_ptr<FactResults> results, std::string_view import) {
  return std::make_unique<ImportedLines>(call, service, std::move(results), useOf(call, service, import));
}

void addImportRoutes(Router& router, Service& service) {
  const std::string base = "/v1/workspaces/{workspace}/imports";
  router.add({"POST", base, Action::importFacts, [&service](Call& call) { return beginImport(call, service); },
              importDocs("Begin to import another system's records: one at a time for a source", "ImportBegin", "ImportUnderWay", 201)});
  router.add({"POST", base + "/{import}/leases", Action::importFacts, [&service](Call& call) { return findLease(call, service); },
              importDocs("The reported lease of this source to which a credential belongs; recorded", "SecretLookup", "ImportLease", 200)});
  router.add({"POST", base + "/{import}/finish", Action::importFacts, [&service](Call& call) { return finishImport(call, service); },
              importDocs("A producer has told everything; without one: end the import", "ImportFinish", "ImportFinished", 200)});
}

}  // namespace counterfoil::server
