#include "tests/support/kafka_test_broker.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <limits>
#include <list>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include "tests/support/kafka_test_answers.h"

namespace counterfoil::test {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kPatience = 30s;
constexpr std::size_t kFrameMax = 16U * 1024 * 1024;
constexpr Clock::time_point kNever = Clock::time_point::max();

// A request that was taken up and is not answered yet.
struct Job {
  wire::RequestHead head;
  wire::Buffer body;
  Clock::time_point due = kNever;  // looked at again then, if nothing happens before
  // Produce:
  std::uint32_t partition = 0;
  wire::Buffer batch;
  ProduceFate fate;
  bool drawn = false;   // its fate
  bool judged = false;  // what becomes of it in the log is done
  bool waits = false;   // for letGo()
  Produced outcome;
};

struct Connection {
  int descriptor = -1;  // -1: the other side has gone, or was cut off
  wire::Buffer in;
  wire::Buffer out;
  std::optional<Job> job;
};

// The size of the whole first frame of `bytes` from `at` on; 0: it has not come yet.
std::size_t frameAt(const wire::Buffer& bytes, std::size_t at) {
  if (bytes.size() - at < 4) return 0;
  const auto size = static_cast<std::uint32_t>(wire::Reader(wire::View(bytes).subspan(at, 4)).int32());
  if (size > kFrameMax) throw wire::Malformed("a request is too large");
  return bytes.size() - at < 4 + size ? 0 : 4 + size;
}

std::size_t producesIn(const wire::Buffer& bytes) {
  std::size_t count = 0;
  std::size_t at = 0;
  std::size_t size = frameAt(bytes, at);
  while (size != 0) {
    if (wire::Reader(wire::View(bytes).subspan(at + 4, 2)).int16() == wire::kProduce) ++count;
    at += size;
    size = frameAt(bytes, at);
  }
  return count;
}

std::map<std::string, std::string> goodTopicSettings() {
  return {{"cleanup.policy", "delete"}, {"message.timestamp.type", "LogAppendTime"},
          {"min.insync.replicas", "1"}, {"retention.bytes", "-1"},
          {"retention.ms", "-1"},       {"unclean.leader.election.enable", "false"}};
}

}  // namespace

struct KafkaTestBroker::State {
  explicit State(std::uint32_t partitions) : planned(partitions), otherwise(partitions), produced(partitions) {
    cluster.topic = kTopic;
    cluster.partitions.resize(partitions);
    cluster.settings = goodTopicSettings();
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    waker = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof name;
    if (waker < 0 || ::bind(listener, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 || ::listen(listener, 64) != 0 ||
        ::getsockname(listener, reinterpret_cast<sockaddr*>(&name), &length) != 0) {
      throw std::runtime_error("no socket for a test broker");
    }
    cluster.port = ntohs(name.sin_port);
    thread = std::thread([this] { run(); });
  }
  ~State() {
    {
      const std::lock_guard guard(mutex);
      stopping = true;
      wake();
    }
    thread.join();
    for (Connection& connection : connections) hangUp(connection);
    ::close(listener);
    ::close(waker);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void wake() const {
    const std::uint64_t one = 1;
    static_cast<void>(!::write(waker, &one, sizeof one));  // a full counter wakes as well
  }

  // With `guard` held. What is waited for changes with the broker's turns, or before.
  template <class Condition>
  bool await(std::unique_lock<std::mutex>& guard, Condition&& condition) {
    return changed.wait_for(guard, kPatience, std::forward<Condition>(condition));
  }

  KafkaTestPartition& partition(std::uint32_t number) { return cluster.partitions.at(number); }

  // ---- the broker's thread; the mutex is held but while it waits for the sockets ----

  void run() {
    std::unique_lock guard(mutex);
    while (!stopping) {
      std::vector<pollfd> polled = {{waker, POLLIN, 0}, {listener, POLLIN, 0}};
      std::vector<Connection*> owners;
      for (Connection& connection : connections) {
        if (connection.descriptor < 0) continue;
        const auto events = static_cast<short>(connection.out.empty() ? POLLIN : POLLIN | POLLOUT);
        polled.push_back({connection.descriptor, events, 0});
        owners.push_back(&connection);
      }
      const int patience = untilNext();
      guard.unlock();
      const int ready = ::poll(polled.data(), polled.size(), patience);
      guard.lock();
      std::uint64_t ignored = 0;
      static_cast<void>(!::read(waker, &ignored, sizeof ignored));
      if (cutting) {
        for (Connection& connection : connections) drop(connection);
        cutting = false;
      }
      if (ready > 0 && (polled[1].revents & POLLIN) != 0) accept();
      for (std::size_t index = 0; index < owners.size(); ++index) {
        if (ready > 0 && polled[index + 2].revents != 0) receive(*owners[index]);
      }
      for (Connection& connection : connections) serve(connection);
      std::erase_if(connections, [](const Connection& each) { return each.descriptor < 0 && !each.job && each.in.empty(); });
      changed.notify_all();
    }
  }

  int untilNext() const {
    Clock::time_point due = kNever;
    for (const Connection& connection : connections) {
      if (connection.job) due = std::min(due, connection.job->due);
    }
    if (due == kNever) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now());
    return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
  }

  void accept() {
    const int peer = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (peer < 0) return;
    if (refusals > 0) {
      --refusals;
      ::close(peer);
      return;
    }
    const int one = 1;
    ::setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connections.emplace_back().descriptor = peer;
  }

  static void hangUp(Connection& connection) {
    if (connection.descriptor >= 0) ::close(connection.descriptor);
    connection.descriptor = -1;
    connection.out.clear();
  }

  // Nothing of what it sent is looked at any more.
  static void drop(Connection& connection) {
    hangUp(connection);
    connection.job.reset();
    connection.in.clear();
  }

  void receive(Connection& connection) {
    std::array<std::uint8_t, 65'536> piece;
    while (connection.descriptor >= 0) {
      const ssize_t got = ::recv(connection.descriptor, piece.data(), piece.size(), 0);
      if (got > 0) {
        connection.in.insert(connection.in.end(), piece.begin(), piece.begin() + got);
      } else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
      } else {
        hangUp(connection);
      }
    }
  }

  void serve(Connection& connection) {
    try {
      while (step(connection)) {
      }
    } catch (const wire::Malformed& reason) {
      complaints.emplace_back(reason.what());
      drop(connection);
    }
    if (connection.descriptor < 0) {
      // What the other side sent before it went away has come all the same, unless it is cut short.
      if (!connection.job) connection.in.clear();
      return;
    }
    while (!connection.out.empty()) {
      const ssize_t sent = ::send(connection.descriptor, connection.out.data(), connection.out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent <= 0) return;
      connection.out.erase(connection.out.begin(), connection.out.begin() + sent);
    }
  }

  // False: nothing more can be done for now.
  bool step(Connection& connection) {
    if (!connection.job) {
      const std::size_t size = frameAt(connection.in, 0);
      if (size == 0) return false;
      wire::Reader reader(wire::View(connection.in).subspan(4, size - 4));
      Job job;
      job.head = wire::readRequestHead(reader);
      job.body.assign(connection.in.begin() + static_cast<std::ptrdiff_t>(4 + reader.position()),
                      connection.in.begin() + static_cast<std::ptrdiff_t>(size));
      connection.in.erase(connection.in.begin(), connection.in.begin() + static_cast<std::ptrdiff_t>(size));
      connection.job = std::move(job);
    }
    Job& job = *connection.job;
    if (job.head.api == wire::kProduce) return produce(connection, job);
    if (job.head.api == wire::kFetch) return fetch(connection, job);
    wire::Reader body(job.body);
    end(connection, wire::answer(job.head, body, cluster));
    return true;
  }

  static void end(Connection& connection, const wire::Buffer& answer) {
    connection.job.reset();
    if (connection.descriptor < 0) return;
    const wire::Writer frame = wire::Writer().bytes(answer);
    connection.out.insert(connection.out.end(), frame.out().begin(), frame.out().end());
  }

  // ---- Produce ----

  void draw(Job& job) {
    wire::Reader body(job.body);
    if (body.text()) throw wire::Malformed("there are no transactions here");
    job.outcome.acks = body.int16();
    static_cast<void>(body.int32());  // how long the replicas may take
    if (job.outcome.acks == 0) throw wire::Malformed("a Produce that wants no answer");
    if (body.int32() != 1 || body.text().value_or("") != cluster.topic || body.int32() != 1) {
      throw wire::Malformed("a Produce is for one partition of the topic here");
    }
    job.partition = static_cast<std::uint32_t>(body.int32());
    const wire::View batch = body.bytes();
    job.batch.assign(batch.begin(), batch.end());
    const wire::BatchHead head = wire::readHead(batch);
    job.outcome.producer = head.producer;
    job.outcome.epoch = head.epoch;
    job.outcome.baseSequence = head.baseSequence;
    job.outcome.records = head.records;
    std::deque<ProduceFate>& next = planned.at(job.partition);
    job.fate = next.empty() ? otherwise.at(job.partition) : next.front();
    if (!next.empty()) next.pop_front();
    job.drawn = true;
    job.waits = job.fate.held;
  }

  bool produce(Connection& connection, Job& job) {
    if (!job.drawn) draw(job);
    if (job.waits) return false;
    if (!job.judged) {
      KafkaTestPartition::Verdict verdict;
      if (job.fate.judged) verdict = partition(job.partition).append(job.batch, saysDuplicate);
      job.judged = true;
      job.outcome.appended = verdict.appended;
      job.outcome.error = job.fate.error.value_or(verdict.error);
      if (job.outcome.error == 0) job.outcome.baseOffset = job.fate.offset.value_or(verdict.baseOffset);
      job.waits = job.fate.answerHeld;
      job.due = Clock::now() + job.fate.late;
      if (job.waits) return false;
    }
    if (Clock::now() < job.due) return false;
    job.outcome.answered = !job.fate.cut && connection.descriptor >= 0;
    produced.at(job.partition).push_back(job.outcome);
    if (job.fate.cut) {
      drop(connection);
      return false;
    }
    wire::Writer answer = wire::beginAnswer(job.head);
    answer.count(1).text(cluster.topic).count(1).count(job.partition).int16(job.outcome.error).int64(job.outcome.baseOffset).int64(-1);
    if (job.head.version >= 5) answer.int64(partition(job.partition).begin());
    answer.int32(0);
    end(connection, answer.out());
    return true;
  }

  // ---- Fetch ----

  bool fetch(Connection& connection, Job& job) {
    if (connection.descriptor < 0) {  // reading for nobody
      connection.job.reset();
      return true;
    }
    wire::Reader body(job.body);
    static_cast<void>(body.int32());  // replica
    const std::chrono::milliseconds patience{body.int32()};
    static_cast<void>(body.take(4 + 4 + 1));                         // least and most bytes, isolation
    if (job.head.version >= 7) static_cast<void>(body.take(4 + 4));  // session
    if (job.due == kNever) job.due = Clock::now() + patience;
    bool anything = false;
    wire::Writer answer = wire::beginAnswer(job.head);
    answer.int32(0);
    if (job.head.version >= 7) answer.int16(0).int32(0);
    const std::int32_t topics = body.int32();
    answer.int32(topics);
    for (std::int32_t topic = 0; topic < topics; ++topic) {
      const std::string name = body.text().value_or("");
      const std::int32_t partitions = body.int32();
      answer.text(name).int32(partitions);
      for (std::int32_t index = 0; index < partitions; ++index) {
        anything = fetchOne(job.head.version, name, body, answer) || anything;
      }
    }
    if (!anything && Clock::now() < job.due) return false;
    end(connection, answer.out());
    return true;
  }

  // True: there is something to tell.
  bool fetchOne(std::int16_t version, const std::string& topic, wire::Reader& body, wire::Writer& answer) {
    const std::int32_t number = body.int32();
    if (version >= 9) static_cast<void>(body.int32());  // the leader's epoch, as far as known
    const std::int64_t offset = body.int64();
    if (version >= 5) static_cast<void>(body.int64());
    const auto bytesMax = static_cast<std::size_t>(body.int32());
    const KafkaTestPartition* found = cluster.partition(topic, number);
    std::int16_t error = 0;
    if (found == nullptr) {
      error = kafka_error::kUnknownTopicOrPartition;
    } else if (!found->holds(offset)) {
      error = kafka_error::kOffsetOutOfRange;
    }
    const std::int64_t end = error == 0 ? found->end() : -1;
    answer.int32(number).int16(error).int64(end).int64(end);
    if (version >= 5) answer.int64(error == 0 ? found->begin() : -1);
    answer.int32(-1);  // no aborted transactions
    if (version >= 11) answer.int32(-1);
    const wire::Buffer records = error == 0 ? found->fetch(offset, bytesMax) : wire::Buffer();
    answer.bytes(records);
    return error != 0 || !records.empty();
  }

  std::mutex mutex;
  std::condition_variable changed;
  wire::Cluster cluster;
  std::vector<std::deque<ProduceFate>> planned;
  std::vector<ProduceFate> otherwise;
  std::vector<std::vector<Produced>> produced;
  std::vector<std::string> complaints;
  bool saysDuplicate = false;
  bool cutting = false;
  bool stopping = false;
  std::size_t refusals = 0;  // of connections, still to come
  std::list<Connection> connections;
  int listener = -1;
  int waker = -1;
  std::thread thread;  // last: it uses the members above
};

ProduceFate ProduceFate::slow(std::chrono::milliseconds late) {
  ProduceFate fate;
  fate.late = late;
  return fate;
}

ProduceFate ProduceFate::refused(std::int16_t error) {
  ProduceFate fate;
  fate.judged = false;
  fate.error = error;
  return fate;
}

ProduceFate ProduceFate::appendedAndRefused(std::int16_t error) {
  ProduceFate fate;
  fate.error = error;
  return fate;
}

ProduceFate ProduceFate::falseSuccess(std::int64_t offset) {
  ProduceFate fate = refused(0);
  fate.offset = offset;
  return fate;
}

ProduceFate ProduceFate::misplaced(std::int64_t offset) {
  ProduceFate fate;
  fate.offset = offset;
  return fate;
}

ProduceFate ProduceFate::cutBefore() {
  ProduceFate fate;
  fate.judged = false;
  fate.cut = true;
  return fate;
}

ProduceFate ProduceFate::cutAfter() {
  ProduceFate fate;
  fate.cut = true;
  return fate;
}

ProduceFate ProduceFate::hold() const {
  ProduceFate fate = *this;
  fate.held = true;
  return fate;
}

ProduceFate ProduceFate::holdAnswer() const {
  ProduceFate fate = *this;
  fate.answerHeld = true;
  return fate;
}

KafkaTestBroker::KafkaTestBroker(std::uint32_t partitions) : state_(std::make_unique<State>(partitions)) {}
KafkaTestBroker::~KafkaTestBroker() = default;

std::string KafkaTestBroker::address() const {
  return "127.0.0.1:" + std::to_string(state_->cluster.port);
}

log::KafkaSettings KafkaTestBroker::settings() const {
  log::KafkaSettings settings;
  settings.brokers = address();
  settings.topic = kTopic;
  // A reader that goes away waits for the answer to its last fetch; a connection that was cut is made anew after a while.
  settings.properties = {{"fetch.wait.max.ms", "5"}, {"reconnect.backoff.ms", "1"}, {"reconnect.backoff.max.ms", "5"}};
  return settings;
}

void KafkaTestBroker::plan(std::uint32_t partition, std::vector<ProduceFate> fates) {
  const std::lock_guard guard(state_->mutex);
  state_->planned.at(partition).assign(fates.begin(), fates.end());
}

void KafkaTestBroker::always(std::uint32_t partition, const ProduceFate& fate) {
  const std::lock_guard guard(state_->mutex);
  state_->otherwise.at(partition) = fate;
}

bool KafkaTestBroker::awaitHeld(std::uint32_t partition, std::size_t behind) {
  std::unique_lock guard(state_->mutex);
  return state_->await(guard, [&] {
    return std::any_of(state_->connections.begin(), state_->connections.end(), [&](const Connection& each) {
      return each.job && each.job->waits && each.job->partition == partition && producesIn(each.in) >= behind;
    });
  });
}

void KafkaTestBroker::letGo(std::uint32_t partition) {
  const std::lock_guard guard(state_->mutex);
  for (Connection& connection : state_->connections) {
    if (connection.job && connection.job->partition == partition) connection.job->waits = false;
  }
  state_->wake();
}

std::vector<Produced> KafkaTestBroker::produced(std::uint32_t partition) const {
  const std::lock_guard guard(state_->mutex);
  return state_->produced.at(partition);
}

bool KafkaTestBroker::awaitProduced(std::uint32_t partition, std::size_t count) {
  std::unique_lock guard(state_->mutex);
  return state_->await(guard, [&] { return state_->produced.at(partition).size() >= count; });
}

std::vector<wire::PlainRecord> KafkaTestBroker::records(std::uint32_t partition) const {
  const std::lock_guard guard(state_->mutex);
  return state_->partition(partition).records();
}

std::int64_t KafkaTestBroker::inject(std::uint32_t partition, const std::optional<log::RecordHeader>& header,
                                     const std::vector<std::uint8_t>& value) {
  wire::PlainRecord record;
  record.value = value;
  if (header) {
    const auto bytes = log::encodeHeader(*header);
    record.headers.emplace_back("cf", wire::Buffer(bytes.begin(), bytes.end()));
  }
  const std::lock_guard guard(state_->mutex);
  const std::int64_t offset = state_->partition(partition).appendOther(record);
  state_->wake();
  return offset;
}

void KafkaTestBroker::truncate(std::uint32_t partition, std::int64_t end) {
  const std::lock_guard guard(state_->mutex);
  state_->partition(partition).truncate(end);
  state_->wake();
}

void KafkaTestBroker::deleteBefore(std::uint32_t partition, std::int64_t begin) {
  const std::lock_guard guard(state_->mutex);
  state_->partition(partition).deleteBefore(begin);
  state_->wake();
}

void KafkaTestBroker::forgetProducers() {
  const std::lock_guard guard(state_->mutex);
  for (KafkaTestPartition& partition : state_->cluster.partitions) partition.forgetProducers();
}

void KafkaTestBroker::sayDuplicate(bool says) {
  const std::lock_guard guard(state_->mutex);
  state_->saysDuplicate = says;
}

void KafkaTestBroker::refuseProducerIds(std::int16_t error) {
  const std::lock_guard guard(state_->mutex);
  state_->cluster.producerIdError = error;
  state_->cluster.producerIdsRefused = 0;
}

bool KafkaTestBroker::awaitProducerIdRefused() {
  std::unique_lock guard(state_->mutex);
  return state_->await(guard, [&] { return state_->cluster.producerIdsRefused > 0; });
}

void KafkaTestBroker::cutConnections() {
  std::unique_lock guard(state_->mutex);
  state_->cutting = true;
  state_->wake();
  state_->await(guard, [&] { return !state_->cutting; });
}

void KafkaTestBroker::refuseConnections(std::size_t count) {
  const std::lock_guard guard(state_->mutex);
  state_->refusals = count;
}

void KafkaTestBroker::setTopicSetting(const std::string& name, const std::string& value) {
  const std::lock_guard guard(state_->mutex);
  state_->cluster.settings[name] = value;
}

std::vector<std::string> KafkaTestBroker::complaints() const {
  const std::lock_guard guard(state_->mutex);
  return state_->complaints;
}

}  // namespace counterfoil::test
