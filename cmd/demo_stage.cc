#include "cmd/demo_stage.h"

#include <boost/json/parse.hpp>

#include "clients/cpp/fact_sender.h"
#include "cmd/recorder.h"
#include "cmd/token_client.h"
#include "ledger/core/json.h"
#include "ledger/write/answer_json.h"

namespace counterfoil::cmd {
namespace {

constexpr std::string_view kOwner = "human:dana.ruiz";

void setActor(Command& command, std::string_view kind, std::string_view id) {
  const auto number = *schemaTables().principal->find(Field::kind)->enumeration->find(kind);
  setPrincipal(command.arena, command.common, Field::actor, {static_cast<PrincipalKind>(number), command.arena.copy(id)});
}

class FolderStage final : public DemoStage {
 public:
  explicit FolderStage(const CommonOptions& common) : session_(common, Access::write) {}

  bool hasWorkspace(const std::string& id) override { return session_.ledger().findWorkspace(id).has_value(); }
  void enter(const std::string& workspace) override { workspace_ = workspace; }

  boost::json::object ask(Command command, std::string_view kind, std::string_view id) override {
    setActor(command, kind, id);
    const write::Answer answer = session_.ledger().execute(workspace_, std::move(command));
    return boost::json::parse(write::answerJson(answer, workspace_, session_.log().durability())).as_object();
  }

  void record(const std::vector<std::string>& facts, const std::function<void(std::size_t)>& done) override {
    std::size_t count = 0;
    for (const std::string& fact : facts) {
      session_.ledger().append(workspace_, parseFact(fact));
      done(++count);
    }
  }

  bool anyLive() override {
    bool live = false;
    inspect(
        [&](const WorkspaceState& state) { state.forEachLive([&](LeaseSlot, const Lease& lease) { live = live || !lease.reported; }); });
    return live;
  }

  std::uint64_t entries() override {
    std::uint64_t size = 0;
    inspect([&](const WorkspaceState& state) { size = state.head().size(); });
    return size;
  }

  void close() override { session_.close(); }

 private:
  void inspect(const std::function<void(const WorkspaceState&)>& visit) {
    const auto number = *session_.ledger().findWorkspace(workspace_);
    session_.ledger().inspect(number, [&](const write::PartitionState& state) { visit(*state.findWorkspace(number)); });
  }

  Session session_;
  std::string workspace_;
};

// What a person does needs that person's token; a broker names in its requests whom it asks for.
class ServerStage final : public DemoStage {
 public:
  explicit ServerStage(CommonOptions common) : common_(std::move(common)) {}

  bool hasWorkspace(const std::string& id) override {
    HttpRequest request;
    request.target = "/v1/workspaces/" + percentEncoded(id);
    try {
      linkOf(kOwner).send(request);
      return true;
    } catch (const Fault& fault) {
      if (fault.code() == ErrorCode::noSuchItem) return false;
      throw;
    }
  }

  void enter(const std::string& workspace) override {
    common_.workspace = workspace;
    links_.clear();
  }

  boost::json::object ask(Command command, std::string_view kind, std::string_view id) override {
    setActor(command, kind, id);
    const std::string person = std::string(kind) + ":" + std::string(id);
    return boost::json::parse(linkOf(kind == "human" ? std::string_view(person) : kOwner).record(command)).as_object();
  }

  void record(const std::vector<std::string>& facts, const std::function<void(std::size_t)>& done) override {
    ServerLink& link = linkOf(kOwner);
    std::vector<std::string_view> lines(facts.begin(), facts.end());
    for (const std::string& result : client::sendFacts(link, link.target(""), lines, false, client::Surroundings::real())) {
      const boost::json::value json = boost::json::parse(result);
      if (json.as_object().contains("error")) throw Fault(ErrorCode::internal, "the server refused a fact of the demo");
    }
    done(facts.size());
  }

  bool anyLive() override {
    for (const char* state : {"granted", "active"}) {
      HttpRequest request;
      request.target = linkOf(kOwner).target(std::string("/leases?limit=1000&state=") + state);
      const boost::json::value page = boost::json::parse(linkOf(kOwner).send(request).body);
      for (const boost::json::value& lease : page.at("items").as_array()) {
        const boost::json::value* reported = lease.as_object().if_contains("reported");
        if (reported == nullptr || !reported->as_bool()) return true;
      }
    }
    return false;
  }

  std::uint64_t entries() override {
    HttpRequest request;
    request.target = linkOf(kOwner).target("");
    return boost::json::parse(linkOf(kOwner).send(request).body).at("entries").to_number<std::uint64_t>();
  }

  void close() override { links_.clear(); }

 private:
  ServerLink& linkOf(std::string_view person) {
    std::unique_ptr<ServerLink>& link = links_[std::string(person)];
    if (link == nullptr) {
      TokenOrder order;
      order.role = "owner";
      order.subject = person;
      link = ServerLink::as(common_, order);
    }
    return *link;
  }

  CommonOptions common_;
  std::map<std::string, std::unique_ptr<ServerLink>> links_;
};

}  // namespace

std::unique_ptr<DemoStage> DemoStage::open(const CommonOptions& common) {
  const auto running = runningServer(common.data);
  if (!common.url.empty() && (!running || running->url != common.url)) {
    throw Fault(ErrorCode::usage, "`demo` plays several people, whose tokens only the server of the data folder gives it",
                "leave --url and COUNTERFOIL_URL away, and name the folder with --data", "--url");
  }
  if (running) return std::make_unique<ServerStage>(common);
  return std::make_unique<FolderStage>(common);
}

}  // namespace counterfoil::cmd
