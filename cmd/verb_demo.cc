// `demo`: a workspace of its own with a believable past day, then a minute's worth of commands in real time.
#include <chrono>
#include <thread>

#include "cmd/command_writer.h"
#include "cmd/demo_day.h"
#include "cmd/demo_stage.h"
#include "cmd/output.h"
#include "cmd/system_clock.h"
#include "ledger/core/json.h"

namespace counterfoil::cmd {
namespace {

class Demo {
 public:
  explicit Demo(Program& program) : common_(program.common), stage_(DemoStage::open(program.common)) {}

  int play() {
    makeWorkspace();
    pastDay();
    commands();
    waitForEnds();
    const std::uint64_t entries = stage_->entries();
    stage_->close();
    if (common_.json) {
      std::string out;
      JsonObject object(out);
      object.text("workspace", workspace_).number("entries", entries).number("granted", granted_).number("denied", denied_);
      object.end();
      print(out);
    } else {
      print("demo: workspace " + workspace_ + " holds " + grouped(entries) + " entries: " + std::to_string(facts_) +
            " facts of the past day, " + std::to_string(granted_) + " leases granted and " + std::to_string(denied_) +
            " requests denied just now");
    }
    return 0;
  }

 private:
  void makeWorkspace() {
    workspace_ = "demo";
    for (unsigned number = 2; stage_->hasWorkspace(workspace_); ++number) workspace_ = "demo-" + std::to_string(number);
    stage_->enter(workspace_);
    ask(CommandWriter(CommandKind::workspaceCreate).text(Field::workspaceId, workspace_).text(Field::region, "eu-central").take(), "human",
        "dana.ruiz");
    ask(CommandWriter(CommandKind::policySet).text(Field::document, std::string(demoPolicy())).take(), "human", "dana.ruiz");
  }

  void pastDay() {
    const std::vector<std::string> lines = demoFacts(SystemClock().wall());
    Progress progress(common_, "demo: facts", lines.size());
    stage_->record(lines, [&](std::size_t done) { progress.update(done); });
    facts_ = lines.size();
  }

  boost::json::object ask(Command command, const char* kind, const char* id) { return stage_->ask(std::move(command), kind, id); }

  CommandWriter gitRequest(const char* run, const char* resource, const char* ttl) {
    CommandWriter writer(CommandKind::leaseRequest);
    writer.choice(Field::credential, "git_token", "demo")
        .principal(Field::grantee, "agent:fixer", "demo")
        .texts(Field::scope, {"contents:read"});
    writer.texts(Field::resources, {resource}).duration(Field::ttlSeconds, ttl, "demo").text(Field::run, run).text(Field::host, "host-1");
    return writer;
  }

  std::string grant(Command command) {
    const boost::json::object answer = ask(std::move(command), "agent", "fixer");
    const bool denied = answer.at("outcome") == "denied";
    ++(denied ? denied_ : granted_);
    return denied ? std::string() : std::string(answer.at("lease").at("id").as_string());
  }

  void issue(const std::string& lease) {
    ask(CommandWriter(CommandKind::leaseIssue).text(Field::leaseId, lease).text(Field::upstreamId, "installation-4711").take(), "service",
        "broker");
  }

  void use(const std::string& lease, const char* operation, const char* resource) {
    ask(CommandWriter(CommandKind::leaseConsume)
            .text(Field::leaseId, lease)
            .text(Field::operation, operation)
            .texts(Field::resources, {resource})
            .text(Field::host, "host-1")
            .text(Field::sourceAddress, "203.0.113.20")
            .take(),
        "agent", "fixer");
  }

  void commands() {
    constexpr const char* kShop = "github.com/acme/shop";
    // Used up: three uses are what the policy gives.
    const std::string usedUp = grant(gitRequest("run-200", kShop, "5s").text(Field::reason, "fix the flaky checkout test").take());
    issue(usedUp);
    for (const char* operation : {"git.clone", "git.fetch", "git.fetch"}) use(usedUp, operation, kShop);
    use(usedUp, "git.fetch", kShop);  // refused: used up
    // Renewed, then left to expire.
    const std::string renewed = grant(gitRequest("run-201", kShop, "2s").duration(Field::renewableForSeconds, "5s", "demo").take());
    issue(renewed);
    ask(CommandWriter(CommandKind::leaseRenew).text(Field::leaseId, renewed).number(Field::ttlSeconds, 4).take(), "agent", "fixer");
    // A parent with a child: revoking the one ends the other.
    const std::string parent = grant(gitRequest("run-202", kShop, "5s").take());
    issue(parent);
    const std::string child = grant(gitRequest("run-202", kShop, "3s").text(Field::parentLease, parent).take());
    issue(child);
    ask(CommandWriter(CommandKind::leaseRevoke).text(Field::leaseId, parent).text(Field::reason, "the run was cancelled").take(), "human",
        "dana.ruiz");
    // Denied: another repository's rule, too long, too wide.
    grant(gitRequest("run-203", "github.com/acme/payroll", "5s").take());
    grant(gitRequest("run-203", kShop, "2h").take());
    grant(gitRequest("run-203", "github.com/other/project", "5s").take());
    approvals();
    // Granted but never issued, and one that a bulk revocation of its host's run ends.
    grant(gitRequest("run-204", kShop, "2s").take());
    const std::string swept = grant(gitRequest("run-205", kShop, "5s").take());
    issue(swept);
    ask(CommandWriter(CommandKind::revokeAll)
            .text(Field::run, "run-205")
            .choice(Field::reasonCode, "compromise", "demo")
            .text(Field::reason, "the run reached an unknown host")
            .take(),
        "human", "dana.ruiz");
  }

  CommandWriter deploy(CommandKind kind) {
    CommandWriter writer(kind);
    writer.choice(Field::credential, "cloud_identity", "demo")
        .principal(Field::grantee, "agent:deployer", "demo")
        .texts(Field::scope, {"deploy:production"});
    writer.texts(Field::resources, {"aws/acme-production"}).number(Field::ttlSeconds, 4);
    return writer;
  }

  void approvals() {
    grant(deploy(CommandKind::leaseRequest).take());  // denied: approval missing
    const boost::json::object asked = ask(deploy(CommandKind::approvalRequest)
                                              .principal(Field::onBehalfOf, "human:sam.okafor", "demo")
                                              .text(Field::operation, "deploy")
                                              .take(),
                                          "human", "sam.okafor");
    const std::string approval(asked.at("approvalId").as_string());
    ask(CommandWriter(CommandKind::approvalDecide)
            .text(Field::approvalId, approval)
            .choice(Field::decision, "approved", "demo")
            .text(Field::comment, "release 2026.47 was reviewed")
            .take(),
        "human", "dana.ruiz");
    const std::string lease = grant(deploy(CommandKind::leaseRequest).text(Field::approval, approval).take());
    issue(lease);
  }

  // The longest lease lives five seconds; each ends on the record.
  void waitForEnds() {
    Progress progress(common_, "demo: leases ending", 0);
    for (unsigned tick = 0; tick < 120 && stage_->anyLive(); ++tick) {
      progress.update(tick);
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  CommonOptions common_;
  std::unique_ptr<DemoStage> stage_;
  std::string workspace_;
  std::uint64_t facts_ = 0;
  std::uint64_t granted_ = 0;
  std::uint64_t denied_ = 0;
};

}  // namespace

void addDemo(Verb app, Program& program) {
  Verb verb = app.verb("demo", "Play a believable day into a workspace of its own (at most 15 seconds)");
  addCommonFlags(verb, program.common, false);
  verb.whenGiven([&program] { program.run = [&program] { return Demo(program).play(); }; });
}

}  // namespace counterfoil::cmd
