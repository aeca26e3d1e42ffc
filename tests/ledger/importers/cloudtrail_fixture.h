// A small vocabulary for tests of the CloudTrail importer: files with made-up records, and what came out of them.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/encoding.h"
#include "ledger/importers/cloudtrail.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::importers::test {

using counterfoil::test::TemporaryFolder;

inline std::filesystem::path sampleFolder() {
  return std::filesystem::path(COUNTERFOIL_SOURCE_DIR) / "../shared/data/cloudtrail-stratus/CloudTrail";
}

// One gzip member.
inline std::string gzip(std::string_view text, int level = 9) {
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::runtime_error("deflateInit2");
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<unsigned>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("deflate");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline void write(const std::filesystem::path& file, std::string_view content) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
}

// "11111111-1111-4111-8111-<number>", so that greater numbers are greater ids.
inline std::string eventId(int number) {
  char text[40];
  std::snprintf(text, sizeof(text), "11111111-1111-4111-8111-%012d", number);
  return text;
}

inline std::string at(int second) {
  char text[32];
  std::snprintf(text, sizeof(text), "2024-05-01T10:%02d:%02dZ", second / 60, second % 60);
  return text;
}

inline constexpr std::string_view kUserArn = "arn:aws:iam::123456789012:user/erika.muster";
inline constexpr std::string_view kRoleArn = "arn:aws:iam::123456789012:role/deploy";

// The members of one record; `more` is put in as it is, without a comma before it.
struct RecordSpec {
  int id = 1;
  int second = 0;
  std::string source = "ec2.amazonaws.com";
  std::string name = "DescribeInstances";
  std::string key = "AKIAEXAMPLEEXAMPLE01";
  std::string type = "IAMUser";
  std::string more = {};
};

inline std::string record(const RecordSpec& spec) {
  std::string caller = R"({"type":")" + spec.type + R"(","accountId":"123456789012")";
  if (spec.type == "IAMUser") caller += R"(,"arn":")" + std::string(kUserArn) + R"(","userName":"erika.muster")";
  if (spec.type == "AssumedRole") caller += R"(,"arn":"arn:aws:sts::123456789012:assumed-role/deploy/build-7")";
  if (spec.type == "AWSService") caller += R"(,"invokedBy":"lambda.amazonaws.com")";
  if (!spec.key.empty()) caller += R"(,"accessKeyId":")" + spec.key + '"';
  return R"({"eventVersion":"1.08","userIdentity":)" + caller + R"(},"eventTime":")" + at(spec.second) + R"(","eventSource":")" +
         spec.source + R"(","eventName":")" + spec.name +
         R"(","awsRegion":"eu-central-1","sourceIPAddress":"192.0.2.7","userAgent":"aws-cli/2","eventID":")" + eventId(spec.id) +
         R"(","recipientAccountId":"123456789012")" + (spec.more.empty() ? "" : "," + spec.more) + "}";
}

// An AssumeRole that issued `key`.
inline std::string grant(int id, int second, const std::string& key, const std::string& more = {}) {
  return record({id, second, "sts.amazonaws.com", "AssumeRole", "", "AWSService",
                 R"("requestParameters":{"roleArn":")" + std::string(kRoleArn) +
                     R"("},"responseElements":{"credentials":{"accessKeyId":")" + key +
                     R"(","sessionToken":"not-for-anyone","expiration":"May 1, 2024, 11:00:00 AM"},)" +
                     R"("assumedRoleUser":{"arn":"arn:aws:sts::123456789012:assumed-role/deploy/build-7"}})" + more});
}

inline std::string logFile(const std::vector<std::string>& records) {
  std::string text = R"({"Records":[)";
  for (const std::string& item : records) text += (text.back() == '[' ? "" : ",") + item;
  return text + "]}";
}

struct Imported {
  std::vector<ImportedEvent> events;
  ImportSummary summary;

  std::size_t count(Kind kind) const {
    std::size_t found = 0;
    for (const ImportedEvent& event : events) found += event.event.kind == kind ? 1 : 0;
    return found;
  }
  const Event& only(Kind kind) const {
    EXPECT_EQ(count(kind), 1U);
    for (const ImportedEvent& event : events) {
      if (event.event.kind == kind) return event.event;
    }
    throw std::runtime_error("no event of that kind");
  }
};

inline Imported import(const std::vector<std::filesystem::path>& inputs, const CloudTrailOptions& options = {},
                       KnownLease known = nullptr) {
  CloudTrailImporter importer(inputs, std::move(known), nullptr, options);
  Imported result;
  ImportedEvent event;
  while (importer.next(event)) result.events.push_back(std::move(event));
  result.summary = importer.summary();
  return result;
}

// All texts of an event, with the name of their field and how a secret was given.
inline void visitTexts(const StructValue& value, const std::function<void(const FieldTable&, SecretForm, std::string_view)>& visit) {
  if (value.table == nullptr) return;
  for (std::size_t index = 0; index < value.table->fields.size(); ++index) {
    const FieldTable& field = value.table->fields[index];
    const FieldValue& item = value.values[index];
    if (field.type == FieldType::text) visit(field, item.secretForm, item.text());
    if (field.type == FieldType::textList) {
      for (const std::string_view text : item.texts()) visit(field, item.secretForm, text);
    }
    if (field.type == FieldType::structure || field.type == FieldType::structureList) {
      for (const StructValue& inner : item.structures()) visitTexts(inner, visit);
    }
  }
}

inline void visitTexts(const Event& event, const std::function<void(const FieldTable&, SecretForm, std::string_view)>& visit) {
  visitTexts(event.common, visit);
  visitTexts(event.body, visit);
}

inline std::vector<std::string> textsOf(const StructValue& value, Field field) {
  const auto texts = value.texts(field);
  return {texts.begin(), texts.end()};
}

}  // namespace counterfoil::importers::test
