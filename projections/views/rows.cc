#include "projections/views/rows.h"

#include "ledger/core/check.h"

namespace counterfoil::views {
namespace {

constexpr std::size_t kUpdatesMax = 64;  // prepared ones kept; more shapes of change share one that sets every column

bool isBytes(ColumnType type) {
  return type == ColumnType::leaf || type == ColumnType::blob;
}
bool isText(ColumnType type) {
  return type == ColumnType::text;
}

std::string insertSql(const Table& table) {
  std::string sql = "INSERT INTO " + table.name + " VALUES(?";
  for (std::size_t index = 1; index < table.columns.size(); ++index) sql += ", ?";
  return sql + ")";
}

std::string whereKey(const Table& table) {
  std::string sql = " WHERE ";
  for (std::size_t index = 0; index < table.key.size(); ++index) {
    if (index != 0) sql += " AND ";
    sql += '"' + table.columns[table.key[index]].name + "\" = ?";
  }
  return sql;
}

}  // namespace

void encodeRow(const Table& table, const Cell* cells, Columns columns, RowEncoder& encoder) {
  std::size_t count = table.columns.size();
  if (columns == Columns::comparable) {
    for (const Column& column : table.columns) count -= placesEntry(column.type) ? 1 : 0;
  }
  encoder.begin(count);
  for (std::size_t index = 0; index < table.columns.size(); ++index) {
    const ColumnType type = table.columns[index].type;
    const Cell& cell = cells[index];
    if (columns == Columns::comparable && placesEntry(type)) continue;
    if (cell.null) {
      encoder.null();
    } else if (isBytes(type)) {
      encoder.blob(crypto::bytesOf(cell.text));
    } else if (isText(type) || type == ColumnType::name) {
      encoder.text(cell.text);
    } else {
      encoder.integer(cell.number);
    }
  }
}

RowWriter::RowWriter(Database& database, const Table& table) : table_(table), insert_(database, insertSql(table)), encoder_(table.name) {}

void RowWriter::insert(const std::vector<Cell>& cells) {
  Statement& insert = *insert_;
  COUNTERFOIL_CHECK(cells.size() == table_.columns.size());
  for (std::size_t index = 0; index < cells.size(); ++index) {
    const Cell& cell = cells[index];
    const int parameter = static_cast<int>(index) + 1;
    if (cell.null) {
      insert.bindNull(parameter);
    } else if (isBytes(table_.columns[index].type)) {
      insert.bindBlob(parameter, crypto::bytesOf(cell.text));
    } else if (isText(table_.columns[index].type)) {
      insert.bindText(parameter, cell.text);
    } else {
      insert.bindNumber(parameter, cell.number);
    }
  }
  insert.run();
  encodeRow(table_, cells.data(), Columns::all, encoder_);
  sum_.add(encoder_.hash());
}

std::string_view Row::text(std::size_t column) const {
  for (const auto& [index, text] : texts_) {
    if (index == column) return text;
  }
  return {};
}

void Row::set(std::size_t column, std::int64_t value) {
  const std::uint64_t bit = std::uint64_t{1} << column;
  if ((set_ & bit) != 0 && numbers_[column] == value) return;
  numbers_[column] = value;
  set_ |= bit;
  changed_ |= bit;
}

void Row::setText(std::size_t column, std::string_view value) {
  const std::uint64_t bit = std::uint64_t{1} << column;
  set_ |= bit;
  changed_ |= bit;
  for (auto& [index, text] : texts_) {
    if (index == column) {
      text = value;
      return;
    }
  }
  texts_.emplace_back(column, value);
}

void Row::setNull(std::size_t column) {
  const std::uint64_t bit = std::uint64_t{1} << column;
  if ((set_ & bit) == 0) return;
  numbers_[column] = 0;
  set_ &= ~bit;
  changed_ |= bit;
}

RowCache::RowCache(Database& database, const Table& table, NameTable& names, std::size_t rowsMax)
    : database_(database),
      table_(table),
      names_(names),
      rowsMax_(rowsMax),
      select_(database, "SELECT * FROM " + table.name + whereKey(table)),
      insert_(database, insertSql(table)),
      delete_(database, "DELETE FROM " + table.name + whereKey(table)),
      encoder_(table.name),
      cells_(table.columns.size()) {
  COUNTERFOIL_CHECK(table.columns.size() <= 64 && table.key.size() <= RowKey{}.size());
}

void RowCache::reset(const RowSum& sum, bool empty) {
  rows_.clear();
  dirty_.clear();
  sum_ = sum;
  complete_ = empty;
}

void RowCache::trim() {
  if (rows_.size() <= rowsMax_) return;
  COUNTERFOIL_CHECK(dirty_.empty());
  rows_.clear();
  complete_ = false;
}

bool RowCache::load(const RowKey& key, Row& row) {
  for (std::size_t index = 0; index < table_.key.size(); ++index) select_->bindNumber(static_cast<int>(index) + 1, key[index]);
  if (!select_->step()) return false;
  for (std::size_t index = 0; index < table_.columns.size(); ++index) {
    const int column = static_cast<int>(index);
    if (select_->isNull(column)) continue;
    const ColumnType type = table_.columns[index].type;
    if (isText(type) || isBytes(type)) {
      const crypto::Bytes bytes = select_->blob(column);
      row.setText(index, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    } else {
      row.set(index, select_->number(column));
    }
  }
  select_->reset();
  row.changed_ = 0;
  row.stored_ = true;
  row.hash_ = hashOf(row);
  return true;
}

Row* RowCache::find(const RowKey& key) {
  const auto known = rows_.find(key);
  Row* row = nullptr;
  if (known != rows_.end()) {
    row = &known->second;
    if (!row->queued_) dirty_.emplace_back(&known->first, row);
  } else {
    if (complete_) return nullptr;
    Row fresh;
    fresh.numbers_.resize(table_.columns.size());
    if (!load(key, fresh)) return nullptr;
    const auto added = rows_.emplace(key, std::move(fresh)).first;
    row = &added->second;
    dirty_.emplace_back(&added->first, row);
  }
  row->queued_ = true;
  return row;
}

std::pair<Row&, bool> RowCache::get(const RowKey& key) {
  if (Row* row = find(key)) return {*row, false};
  const auto added = rows_.emplace(key, Row{}).first;
  Row& row = added->second;
  row.numbers_.resize(table_.columns.size());
  for (std::size_t index = 0; index < table_.key.size(); ++index) row.set(table_.key[index], key[index]);
  row.queued_ = true;
  dirty_.emplace_back(&added->first, &row);
  return {row, true};
}

void RowCache::erase(const RowKey& key) {
  Row* row = find(key);
  if (row == nullptr) return;
  if (row->stored_) {
    for (std::size_t index = 0; index < table_.key.size(); ++index) delete_->bindNumber(static_cast<int>(index) + 1, key[index]);
    delete_->run();
    sum_.subtract(row->hash_);
  }
  std::erase_if(dirty_, [&](const auto& entry) { return entry.second == row; });
  rows_.erase(key);
}

crypto::Digest RowCache::hashOf(const Row& row) {
  for (std::size_t index = 0; index < table_.columns.size(); ++index) {
    Cell& cell = cells_[index];
    cell = {};
    if (row.isNull(index)) continue;
    const ColumnType type = table_.columns[index].type;
    cell.null = false;
    cell.number = row.number(index);
    if (type == ColumnType::name) cell.text = names_.text(cell.number);
    if (isText(type) || isBytes(type)) cell.text = row.text(index);
  }
  encodeRow(table_, cells_.data(), Columns::all, encoder_);
  return encoder_.hash();
}

void RowCache::bind(Statement& statement, int parameter, const Row& row, std::size_t column) {
  const ColumnType type = table_.columns[column].type;
  if (row.isNull(column)) {
    statement.bindNull(parameter);
  } else if (isText(type)) {
    statement.bindText(parameter, row.text(column));
  } else if (isBytes(type)) {
    statement.bindBlob(parameter, crypto::bytesOf(row.text(column)));
  } else {
    statement.bindNumber(parameter, row.number(column));
  }
}

Statement& RowCache::updateOf(std::uint64_t changed) {
  const auto known = updates_.find(changed);
  if (known != updates_.end()) return known->second;
  std::string sql = "UPDATE " + table_.name + " SET ";
  bool first = true;
  for (std::size_t index = 0; index < table_.columns.size(); ++index) {
    if ((changed >> index & 1) == 0) continue;
    if (!first) sql += ", ";
    sql += '"' + table_.columns[index].name + "\" = ?";
    first = false;
  }
  return updates_.emplace(changed, database_.prepare(sql + whereKey(table_))).first->second;
}

void RowCache::write(const RowKey& key, Row& row) {
  if (row.stored_) {
    std::uint64_t changed = row.changed_;
    if (updates_.size() >= kUpdatesMax && !updates_.contains(changed)) {
      changed = 0;
      for (std::size_t index = 0; index < table_.columns.size(); ++index) {
        if (!table_.columns[index].key) changed |= std::uint64_t{1} << index;
      }
    }
    Statement& update = updateOf(changed);
    int parameter = 1;
    for (std::size_t index = 0; index < table_.columns.size(); ++index) {
      if ((changed >> index & 1) != 0) bind(update, parameter++, row, index);
    }
    for (std::size_t index = 0; index < table_.key.size(); ++index) update.bindNumber(parameter++, key[index]);
    update.run();
    sum_.subtract(row.hash_);
  } else {
    for (std::size_t index = 0; index < table_.columns.size(); ++index) bind(*insert_, static_cast<int>(index) + 1, row, index);
    insert_->run();
    row.stored_ = true;
  }
  row.hash_ = hashOf(row);
  sum_.add(row.hash_);
  row.changed_ = 0;
}

void RowCache::flush() {
  for (const auto& [key, row] : dirty_) {
    row->queued_ = false;
    if (row->changed_ != 0) write(*key, *row);
  }
  dirty_.clear();
}

}  // namespace counterfoil::views
