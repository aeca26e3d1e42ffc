#include "server/auth/strict_json.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <optional>

#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"

namespace counterfoil::server {
namespace {

namespace json = boost::json;

// Puts the parser's events together. A false return with an error code ends the parse; the fault says why.
class Builder {
 public:
  static constexpr std::size_t max_object_size = kStrictJsonMembersMax;
  static constexpr std::size_t max_array_size = 0;
  static constexpr std::size_t max_key_size = limits::kJsonBodyBytesMax;
  static constexpr std::size_t max_string_size = limits::kJsonBodyBytesMax;

  StrictJson root;
  std::optional<Fault> fault;

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_array_begin(json::error_code& error) { return refuse(error, ErrorCode::invalidValue, "a list stands where none can"); }
  bool on_array_end(std::size_t, json::error_code&) { return true; }
  bool on_object_begin(json::error_code& error) {
    if (open_.empty()) {
      open_.push_back(&root);
      return true;
    }
    if (open_.size() == kStrictJsonDepthMax) return refuse(error, ErrorCode::tooDeep, "objects are nested too deeply");
    StrictJson* made = add(error);
    if (made != nullptr) open_.push_back(made);
    return made != nullptr;
  }
  bool on_object_end(std::size_t, json::error_code&) {
    open_.pop_back();
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_string(json::string_view part, std::size_t, json::error_code& error) {
    text_.append(part.data(), part.size());
    if (!isPlain(text_)) return refuse(error, ErrorCode::invalidValue, "a text holds a control character");
    StrictJson* made = add(error);
    if (made == nullptr) return false;
    made->type = StrictJson::Type::text;
    made->text = std::move(text_);
    text_.clear();
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    name_.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code& error) {
    name_.append(part.data(), part.size());
    if (!isPlain(name_)) return refuse(error, ErrorCode::invalidValue, "a name holds a control character");
    if (open_.back()->find(name_) != nullptr) return refuse(error, ErrorCode::duplicateField, "a name stands twice in one object");
    return true;
  }
  bool on_number_part(json::string_view part, json::error_code&) {
    number_.append(part.data(), part.size());
    return true;
  }
  bool on_int64(std::int64_t value, json::string_view part, json::error_code& error) {
    number_.append(part.data(), part.size());
    // "-0" is an integer token of the same value as "0", but nobody who means 0 writes it.
    const bool taken = value >= 0 && value <= static_cast<std::int64_t>(limits::kJsonIntegerMax) && number_.front() != '-';
    number_.clear();
    if (!taken) return refuse(error, ErrorCode::invalidValue, "a number is not a whole one between 0 and 2^53-1");
    StrictJson* made = add(error);
    if (made == nullptr) return false;
    made->type = StrictJson::Type::number;
    made->number = value;
    return true;
  }
  bool on_uint64(std::uint64_t, json::string_view, json::error_code& error) { return on_double(0, {}, error); }
  bool on_double(double, json::string_view, json::error_code& error) {
    return refuse(error, ErrorCode::invalidValue, "a number is not a whole one between 0 and 2^53-1");
  }
  bool on_bool(bool, json::error_code& error) { return refuse(error, ErrorCode::invalidValue, "true or false stands where neither can"); }
  bool on_null(json::error_code& error) { return refuse(error, ErrorCode::invalidValue, "null stands where a value must"); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  static bool isPlain(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f; });
  }
  bool refuse(json::error_code& error, ErrorCode code, std::string detail) {
    fault.emplace(code, std::move(detail));
    error = json::error::incomplete;
    return false;
  }
  // The member that the last name begins, in the innermost object. The vector moves its elements when it grows, but never one that is open:
  // while an inner object is open, members are added to that one only.
  StrictJson* add(json::error_code& error) {
    if (open_.empty()) {
      refuse(error, ErrorCode::malformedJson, "the document is no object");
      return nullptr;
    }
    if (++members_ > kStrictJsonMembersMax) {
      refuse(error, ErrorCode::tooLarge, "the object has too many members");
      return nullptr;
    }
    StrictJson* made = &open_.back()->members.emplace_back(std::move(name_), StrictJson{}).second;
    name_.clear();
    return made;
  }

  std::vector<StrictJson*> open_;
  std::size_t members_ = 0;
  std::string name_;
  std::string text_;
  std::string number_;
};

}  // namespace

const StrictJson* StrictJson::find(std::string_view name) const {
  const auto found = std::find_if(members.begin(), members.end(), [&](const auto& member) { return member.first == name; });
  return found == members.end() ? nullptr : &found->second;
}

StrictJson parseStrictJson(std::string_view text) {
  if (!isUtf8(text)) throw Fault(ErrorCode::invalidUtf8, "the text is no UTF-8");
  json::basic_parser<Builder> parser{json::parse_options{}};
  json::error_code error;
  const std::size_t consumed = parser.write_some(false, text.data(), text.size(), error);
  Builder& builder = parser.handler();
  if (builder.fault) throw Fault(*builder.fault);
  const bool whole = !error && parser.done() && text.substr(consumed).find_first_not_of(" \t\r\n") == std::string_view::npos;
  if (!whole) throw Fault(ErrorCode::malformedJson, "the text is no JSON object", "send one object in RFC 8259 form");
  return std::move(builder.root);
}

}  // namespace counterfoil::server
