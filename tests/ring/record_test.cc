#include "ring/record.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace spanring::ring {
namespace {

std::string Encode(ItemKind kind, std::string_view key, std::string_view value) {
  const ItemHeader header{kind, static_cast<std::uint8_t>(key.size()),
                          static_cast<std::uint16_t>(value.size())};
  std::string item(sizeof(header), '\0');
  std::memcpy(item.data(), &header, sizeof(header));
  return item.append(key).append(value);
}

TEST(ItemReader, ReadsItemsInOrder) {
  const std::string items = Encode(ItemKind::kService, "", "runner") +
                            Encode(ItemKind::kString, "key", "value") +
                            Encode(ItemKind::kString, "", "") + Encode(ItemKind::kBool, "b", "\1");
  ItemReader reader(items);
  auto item = reader.Next();
  ASSERT_TRUE(item.has_value());
  EXPECT_EQ(item->kind, ItemKind::kService);
  EXPECT_EQ(item->value, "runner");
  item = reader.Next();
  ASSERT_TRUE(item.has_value());
  EXPECT_EQ(item->key, "key");
  EXPECT_EQ(item->value, "value");
  item = reader.Next();
  ASSERT_TRUE(item.has_value());
  EXPECT_EQ(item->key, "");
  item = reader.Next();
  ASSERT_TRUE(item.has_value());
  EXPECT_EQ(item->As<char>(), 1);
  EXPECT_FALSE(reader.Next().has_value());
  EXPECT_FALSE(reader.Next().has_value());
}

TEST(ItemReader, StopsAtPadding) {
  for (std::size_t padding = 0; padding < 8; ++padding) {
    const std::string items = Encode(ItemKind::kString, "k", "v") + std::string(padding, '\0');
    ItemReader reader(items);
    EXPECT_TRUE(reader.Next().has_value());
    EXPECT_FALSE(reader.Next().has_value());
  }
}

TEST(ItemReader, StopsAtAnItemThatIsCutAnywhere) {
  const std::string first = Encode(ItemKind::kString, "k", "v");
  const std::string whole = first + Encode(ItemKind::kString, "second key", "second value");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // On the heap at its exact size, so that a sanitizer sees a read beyond it.
    const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    ItemReader reader({cut.data(), cut.size()});
    std::size_t count = 0;
    while (reader.Next()) ++count;
    EXPECT_EQ(count, size >= first.size() ? 1U : 0U) << size;
  }
}

TEST(ItemReader, EndsOnAnyBytesAndStaysInside) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 100'000; ++round) {
    std::vector<char> bytes(random() % 100);
    for (char& c : bytes) c = static_cast<char>(random() % 3 == 0 ? random() % 16 : random());
    ItemReader reader({bytes.data(), bytes.size()});
    std::size_t used = 0;
    while (const auto item = reader.Next()) {
      used += sizeof(ItemHeader) + item->key.size() + item->value.size();
      ASSERT_LE(used, bytes.size());
      ASSERT_NE(item->kind, ItemKind::kPadding);
      const char* const end = bytes.data() + bytes.size();
      ASSERT_LE(item->value.data() + item->value.size(), end);
    }
  }
}

TEST(Item, NumbersOfTheWrongLengthReadAsZero) {
  EXPECT_EQ((Item{ItemKind::kInt64, "", "1234567"}).As<std::int64_t>(), 0);
  EXPECT_EQ((Item{ItemKind::kInt64, "", "123456789"}).As<std::int64_t>(), 0);
  EXPECT_NE((Item{ItemKind::kInt64, "", "12345678"}).As<std::int64_t>(), 0);
}

TEST(CopyShort, CopiesExactlyEveryLength) {
  std::string from(100, '\0');
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<char>(i + 1);
  for (std::size_t size = 0; size <= from.size(); ++size) {
    const std::vector<char> exact(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(size));
    std::vector<std::uint8_t> to(size + 2, 0xee);
    CopyShort(to.data() + 1, exact.data(), size);
    EXPECT_EQ(to.front(), 0xee);
    EXPECT_EQ(to.back(), 0xee);
    EXPECT_TRUE(std::equal(exact.begin(), exact.end(), to.begin() + 1, [](char a, std::uint8_t b) {
      return a == static_cast<char>(b);
    })) << size;
  }
}

}  // namespace
}  // namespace spanring::ring
