#include "ledger/importers/cloudtrail_record.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <cctype>
#include <cstdio>

#include "ledger/core/arena.h"
#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"

namespace counterfoil::importers {
namespace {

namespace bj = boost::json;
using BoostError = boost::system::error_code;
using BoostText = bj::string_view;
using RT = RecordText;

constexpr std::size_t kTextBytesMax = 64 * 1024;
constexpr std::size_t kListItemsKept = 1'000;
// Boost.JSON decodes escaped strings into a buffer on the stack; see core/json_parse.
constexpr std::size_t kParserStackBytes = 24 * 1024;
constexpr std::string_view kRecordHint = "compare the record with the CloudTrail documentation; the others are imported";

// The places of a record that are read. A list has the place of its items.
enum class Place : std::uint8_t {
  ignored,
  record,
  caller,
  onBehalfOf,
  request,
  response,
  credentials,
  assumedRole,
  federatedUser,
  resources,
  instances,
  instanceItems,
  text,         // a member of CloudTrailRecord::texts
  resourceArn,  // appended to resources
  name,         // appended to names
  parameter,    // appended to parameters
  duration,
  deletesAtOnce
};

struct Member {
  Place in;
  std::string_view key;
  Place place;
  RT text = RT::count;
};

constexpr Member kMembers[] = {
    {Place::record, "eventID", Place::text, RT::eventId},
    {Place::record, "eventTime", Place::text, RT::eventTime},
    {Place::record, "eventSource", Place::text, RT::eventSource},
    {Place::record, "eventName", Place::text, RT::eventName},
    {Place::record, "sharedEventID", Place::text, RT::sharedEventId},
    {Place::record, "sourceIPAddress", Place::text, RT::sourceAddress},
    {Place::record, "userAgent", Place::text, RT::userAgent},
    {Place::record, "errorCode", Place::text, RT::errorCode},
    {Place::record, "errorMessage", Place::text, RT::errorMessage},
    {Place::record, "recipientAccountId", Place::text, RT::recipientAccount},
    {Place::record, "userIdentity", Place::caller},
    {Place::record, "requestParameters", Place::request},
    {Place::record, "responseElements", Place::response},
    {Place::record, "resources", Place::resources},
    {Place::caller, "type", Place::text, RT::callerType},
    {Place::caller, "principalId", Place::text, RT::callerPrincipalId},
    {Place::caller, "arn", Place::text, RT::callerArn},
    {Place::caller, "accountId", Place::text, RT::callerAccount},
    {Place::caller, "accessKeyId", Place::text, RT::callerKey},
    {Place::caller, "userName", Place::text, RT::callerName},
    {Place::caller, "invokedBy", Place::text, RT::callerInvokedBy},
    {Place::caller, "onBehalfOf", Place::onBehalfOf},
    {Place::onBehalfOf, "userId", Place::text, RT::callerOnBehalfOf},
    {Place::request, "roleArn", Place::text, RT::roleArn},
    {Place::request, "bucketName", Place::text, RT::bucketName},
    {Place::request, "key", Place::text, RT::objectKey},
    {Place::request, "name", Place::text, RT::name},
    {Place::request, "secretId", Place::text, RT::secretId},
    {Place::request, "path", Place::text, RT::parameterPath},
    {Place::request, "versionId", Place::text, RT::requestedVersion},
    {Place::request, "names", Place::name},
    {Place::request, "durationSeconds", Place::duration},
    {Place::request, "forceDeleteWithoutRecovery", Place::deletesAtOnce},
    {Place::request, "instancesSet", Place::instances},
    {Place::instances, "items", Place::instanceItems},
    {Place::instanceItems, "instanceId", Place::parameter},
    {Place::response, "credentials", Place::credentials},
    {Place::response, "assumedRoleUser", Place::assumedRole},
    {Place::response, "federatedUser", Place::federatedUser},
    {Place::response, "deletionDate", Place::text, RT::deletionDate},
    {Place::response, "versionId", Place::text, RT::writtenVersion},
    {Place::response, "version", Place::text, RT::writtenVersion},
    {Place::response, "name", Place::text, RT::responseName},
    {Place::credentials, "accessKeyId", Place::text, RT::issuedKey},
    {Place::credentials, "expiration", Place::text, RT::issuedExpiration},
    {Place::assumedRole, "arn", Place::text, RT::assumedRoleArn},
    {Place::federatedUser, "arn", Place::text, RT::federatedArn},
    {Place::resources, "ARN", Place::resourceArn},
    {Place::resources, "arn", Place::resourceArn},
};

// Request parameters that name what a call is about. Names of persons (userName) are none of them.
constexpr std::string_view kResourceParameters[] = {
    "policyArn",
    "functionName",
    "trailName",
    "instanceId",
    "volumeId",
    "snapshotId",
    "imageId",
    "allocationId",
    "keyId",
    "tableName",
    "queueUrl",
    "topicArn",
    "streamName",
    "clusterName",
    "repositoryName",
    "stackName",
    "dBInstanceIdentifier",
    "groupId",
    "vpcId",
    "subnetId",
    "roleName",
    "instanceProfileName",
    "resourceArn",
    "resourceARN",
    "logGroupName",
    "documentName",
    "detectorId",
    "trustAnchorId",
    "profileId",
};

// Where the parser is, and what it keeps.
class RecordHandler {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  explicit RecordHandler(CloudTrailRecord& record) : record_(record) {}
  bool isObject() const { return isObject_; }
  bool hasDuplicates() const { return hasDuplicates_; }

  bool on_document_begin(BoostError&) { return true; }
  bool on_document_end(BoostError&) { return true; }
  bool on_object_begin(BoostError&) {
    if (depth_ == 0) isObject_ = true;
    return open(false), true;
  }
  bool on_object_end(std::size_t, BoostError&) { return --depth_, true; }
  bool on_array_begin(BoostError&) { return open(true), true; }
  bool on_array_end(std::size_t, BoostError&) { return --depth_, true; }
  bool on_key_part(BoostText part, std::size_t, BoostError&) { return appendKey(part), true; }
  bool on_key(BoostText part, std::size_t, BoostError&) {
    appendKey(part);
    const std::string_view key(key_.data(), std::min(keySize_, key_.size()));
    member_ = keySize_ > key_.size() ? Member{} : find(levels_[depth_ - 1].place, key);
    keySize_ = 0;
    return true;
  }
  bool on_string_part(BoostText part, std::size_t, BoostError&) {
    if (keeps()) parts_.insert(parts_.end(), part.begin(), part.end());
    return true;
  }
  bool on_string(BoostText part, std::size_t, BoostError&) {
    if (!keeps()) return true;
    if (parts_.empty()) return take({part.data(), part.size()}), true;
    parts_.insert(parts_.end(), part.begin(), part.end());
    take({reinterpret_cast<const char*>(parts_.data()), parts_.size()});
    crypto::wipe(parts_.data(), parts_.size());
    parts_.clear();
    return true;
  }
  bool on_number_part(BoostText, BoostError&) { return true; }
  bool on_int64(std::int64_t value, BoostText token, BoostError&) {
    return takeNumber(static_cast<std::uint64_t>(value < 0 ? 0 : value), token), true;
  }
  bool on_uint64(std::uint64_t value, BoostText token, BoostError&) { return takeNumber(value, token), true; }
  bool on_double(double, BoostText, BoostError&) { return true; }
  bool on_bool(bool value, BoostError&) {
    if (current().place == Place::deletesAtOnce) record_.deletesAtOnce = value;
    return true;
  }
  bool on_null(BoostError&) { return true; }
  bool on_comment_part(BoostText, BoostError&) { return true; }
  bool on_comment(BoostText, BoostError&) { return true; }

 private:
  struct Level {
    Place place = Place::ignored;
    bool isArray = false;
    Member member{};  // of an array: the member whose value it is
  };

  static Member find(Place in, std::string_view key) {
    if (in == Place::ignored) return {};
    for (const Member& member : kMembers) {
      if (member.in == in && member.key == key) return member;
    }
    if (in == Place::request) {
      for (const std::string_view name : kResourceParameters) {
        if (name == key) return {in, name, Place::parameter};
      }
    }
    return {};
  }

  // What the value that comes now is.
  Member current() const {
    if (depth_ == 0) return {Place::ignored, {}, Place::record};
    const Level& level = levels_[depth_ - 1];
    return level.isArray ? level.member : member_;
  }
  // A text belongs in a list only where lists are read.
  bool keeps() const {
    const Place place = current().place;
    const bool inList = depth_ > 0 && levels_[depth_ - 1].isArray;
    if (place == Place::text) return !inList;
    return place == Place::name || place == Place::resourceArn || place == Place::parameter;
  }
  void open(bool isArray) {
    const Member member = current();
    const bool container = member.place >= Place::record && member.place <= Place::instanceItems;
    // The record itself is an object; of the others only lists of objects may stand for an object.
    levels_[depth_++] = {isArray || container ? member.place : Place::ignored, isArray, isArray ? member : Member{}};
    member_ = {};
    if (container && !isArray && member.place != Place::resources && member.place != Place::instanceItems) once(member.place);
  }
  void once(Place place) {
    bool& seen = seenPlaces_[static_cast<std::size_t>(place)];
    hasDuplicates_ = hasDuplicates_ || seen;
    seen = true;
  }
  void appendKey(BoostText part) {
    const std::size_t from = std::min(keySize_, key_.size());
    std::copy_n(part.data(), std::min(part.size(), key_.size() - from), key_.data() + from);
    keySize_ += part.size();
  }

  std::string_view kept(std::string_view text) {
    if (text.size() > kTextBytesMax) {
      std::size_t end = kTextBytesMax;
      while ((static_cast<std::uint8_t>(text[end]) & 0xc0) == 0x80) --end;
      text = text.substr(0, end);
    }
    if (text.empty()) return {};
    char* const target = record_.arena.room<char>(text.size());
    std::transform(text.begin(), text.end(), target, [](char c) { return static_cast<std::uint8_t>(c) < 0x20 || c == 0x7f ? ' ' : c; });
    return {target, text.size()};
  }
  void take(std::string_view text) {
    const Member member = current();
    switch (member.place) {
      case Place::text: {
        const auto index = static_cast<std::size_t>(member.text);
        // Two members of a response may hold the version; none of them is there twice.
        hasDuplicates_ = hasDuplicates_ || (!record_.texts[index].empty() && member.text != RT::writtenVersion);
        record_.texts[index] = kept(text);
        break;
      }
      case Place::name:
        if (record_.names.size() < kListItemsKept) record_.names.push_back(kept(text));
        break;
      case Place::resourceArn:
        if (record_.resources.size() < kListItemsKept) record_.resources.push_back(kept(text));
        break;
      case Place::parameter:
        if (record_.parameters.size() < kListItemsKept) record_.parameters.push_back({member.key, kept(text)});
        break;
      default:
        break;
    }
  }
  void takeNumber(std::uint64_t value, BoostText token) {
    const Member member = current();
    if (member.place == Place::duration) record_.durationSeconds = value;
    if (member.place == Place::text && member.text == RT::writtenVersion && keeps()) take({token.data(), token.size()});
  }

  CloudTrailRecord& record_;
  std::array<Level, limits::kJsonDepthMax + 1> levels_{};
  std::size_t depth_ = 0;
  Member member_{};
  bool isObject_ = false;
  bool hasDuplicates_ = false;
  std::array<bool, 32> seenPlaces_{};
  std::array<char, 48> key_{};
  std::size_t keySize_ = 0;
  crypto::WipingVector parts_;
};

// In a frame above the parser's: what the parser left below is gone when this goes, whichever way.
struct StackWiper {
  StackWiper() = default;
  StackWiper(const StackWiper&) = delete;
  StackWiper& operator=(const StackWiper&) = delete;
  ~StackWiper() { crypto::wipeStackBelow(kParserStackBytes); }
};

[[noreturn]] void throwMalformed(std::string_view json, const BoostError& error, std::size_t at) {
  const std::string place = " at byte " + std::to_string(at) + " of it";
  if (error == bj::error::too_deep) {
    throw Fault(ErrorCode::tooDeep, "the record has more than " + std::to_string(limits::kJsonDepthMax) + " levels",
                std::string(kRecordHint));
  }
  if (!isUtf8(json)) throw Fault(ErrorCode::invalidUtf8, "the record is no valid UTF-8", std::string(kRecordHint));
  throw Fault(ErrorCode::malformedJson, "the record is not well-formed JSON" + place, std::string(kRecordHint));
}

// Never inlined: its frame and all below it are what StackWiper wipes.
[[gnu::noinline]] void parse(std::string_view json, CloudTrailRecord& record) {
  bj::parse_options options;
  options.max_depth = limits::kJsonDepthMax;
  bj::basic_parser<RecordHandler> parser(options, record);
  BoostError error;
  const std::size_t used = parser.write_some(false, json.data(), json.size(), error);
  if (error || used < json.size()) throwMalformed(json, error, used);
  if (!parser.handler().isObject()) throw Fault(ErrorCode::invalidValue, "the record is no object", std::string(kRecordHint));
  if (parser.handler().hasDuplicates()) {
    throw Fault(ErrorCode::duplicateField, "a member of the record stands there twice", std::string(kRecordHint));
  }
}

bool isIdText(std::string_view text) {
  constexpr std::size_t kBytesMax = 100;
  const auto allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' || c == ':';
  };
  return !text.empty() && text.size() <= kBytesMax && std::isalnum(static_cast<unsigned char>(text[0])) != 0 &&
         std::all_of(text.begin(), text.end(), allowed);
}

}  // namespace

CloudTrailRecord readCloudTrailRecord(std::string_view json) {
  CloudTrailRecord record;
  {
    const StackWiper wiper;
    parse(json, record);
  }
  std::string_view& id = record.texts[static_cast<std::size_t>(RT::eventId)];
  if (!isIdText(id)) throw Fault(ErrorCode::invalidValue, "the record has no usable eventID", std::string(kRecordHint));
  if (const auto uuid = fromUuid(id)) id = record.arena.copy(toUuid(*uuid));
  const auto time = fromRfc3339(record.text(RT::eventTime));
  if (!time) throw Fault(ErrorCode::invalidValue, "the record has no usable eventTime", std::string(kRecordHint));
  record.occurredAt = *time;
  return record;
}

std::optional<Timestamp> cloudTrailTime(std::string_view text) {
  if (const auto time = fromRfc3339(text)) return time;
  static constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const auto skip = [&](std::string_view expected) {
    const bool found = text.starts_with(expected);
    if (found) text.remove_prefix(expected.size());
    return found;
  };
  const auto number = [&](std::size_t digitsMax) {
    int value = 0;
    std::size_t digits = 0;
    while (digits < digitsMax && digits < text.size() && text[digits] >= '0' && text[digits] <= '9')
      value = value * 10 + (text[digits++] - '0');
    text.remove_prefix(digits);
    return digits == 0 ? -1 : value;
  };
  const std::size_t month = text.size() < 3 ? std::string_view::npos : kMonths.find(text.substr(0, 3));
  if (month == std::string_view::npos || month % 3 != 0) return std::nullopt;
  text.remove_prefix(3);
  if (!skip(" ")) return std::nullopt;
  const int day = number(2);
  if (!skip(", ")) return std::nullopt;
  const int year = number(4);
  if (!skip(", ") && !skip(" ")) return std::nullopt;
  const int hour = number(2);
  if (!skip(":")) return std::nullopt;
  const int minute = number(2);
  if (!skip(":")) return std::nullopt;
  const int second = number(2);
  if (!skip(" ") && !skip("\u202f") && !skip("\u00a0")) return std::nullopt;
  const bool afternoon = text == "PM";
  if ((!afternoon && text != "AM") || hour < 1 || hour > 12 || day < 1 || year < 0 || minute < 0 || second < 0) return std::nullopt;
  char rfc[80];
  // fromRfc3339 judges the ranges: days of the month, minutes, seconds, the years that a Timestamp holds.
  std::snprintf(rfc, sizeof(rfc), "%04d-%02d-%02dT%02d:%02d:%02dZ", year, static_cast<int>(month / 3) + 1, day,
                hour % 12 + (afternoon ? 12 : 0), minute, second);
  return fromRfc3339(rfc);
}

}  // namespace counterfoil::importers
