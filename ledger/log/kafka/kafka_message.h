// A record as librdkafka brings it.
#pragma once

#include <span>

#include "ledger/log/kafka/kafka_handles.h"
#include "ledger/log/record.h"

namespace counterfoil::log::kafka {

// As long as the message lives.
inline std::span<const std::uint8_t> bytesOf(const rd_kafka_message_t& message) {
  return {static_cast<const std::uint8_t*>(message.payload), message.len};
}

// False: the record has no header of ours.
inline bool headerOf(const rd_kafka_message_t& message, RecordHeader& header) {
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
  const void* value = nullptr;
  std::size_t size = 0;
  if (rd_kafka_header_get_last(headers, "cf", &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
  return decodeHeader({static_cast<const std::uint8_t*>(value), size}, header);
}

}  // namespace counterfoil::log::kafka
