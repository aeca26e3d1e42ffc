// Owners of librdkafka's objects. Events and messages must go before the client they came from; topics and queues too. A conf belongs to
// the client once rd_kafka_new() succeeded (release() it then).
#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>

namespace counterfoil::log::kafka {

template <auto Destroy>
struct Destroyer {
  template <class Object>
  void operator()(Object* object) const {
    Destroy(object);
  }
};

template <class Object, auto Destroy>
using Owner = std::unique_ptr<Object, Destroyer<Destroy>>;

using Conf = Owner<rd_kafka_conf_t, rd_kafka_conf_destroy>;
using Client = Owner<rd_kafka_t, rd_kafka_destroy>;
using Topic = Owner<rd_kafka_topic_t, rd_kafka_topic_destroy>;
using Queue = Owner<rd_kafka_queue_t, rd_kafka_queue_destroy>;
using Event = Owner<rd_kafka_event_t, rd_kafka_event_destroy>;
using Message = Owner<rd_kafka_message_t, rd_kafka_message_destroy>;
using Error = Owner<rd_kafka_error_t, rd_kafka_error_destroy>;
using Metadata = Owner<const struct rd_kafka_metadata, rd_kafka_metadata_destroy>;
using PartitionList = Owner<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;
using ConfigResource = Owner<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy>;
using AdminOptions = Owner<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>;

}  // namespace counterfoil::log::kafka
