// gzip for those who take it, a large answer becomes a tenth; and from those who send it.
// Threads: any.
// Memory: the compressed body takes the place of the plain one.
// Errors: what cannot be compressed stays plain; what cannot be read is said in a Status.
// Design: docs/web.md
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "http/message.h"

namespace spanring::http {

// Smaller ones travel in a few packets anyway.
inline constexpr std::size_t kSmallestCompressedBytes = 4096;

// Whether a value of Accept-Encoding takes gzip (RFC 9110, 12.5.3): by its name, or else by "*",
// unless with a weight of 0.
[[nodiscard]] bool AcceptsGzip(std::string_view accept_encoding);

// Compresses a text of at least kSmallestCompressedBytes where the request takes that, and says by
// Vary that what is answered depends on it. A handler's ETag must be a weak one, for both forms.
void Compress(const Request& request, Response* response);

// What a body was before it was compressed with gzip, in one or more members, as long as that is at
// most `most_bytes`. ResourceExhausted: it is more, of which no more than that was made.
// InvalidArgument: it is damaged.
[[nodiscard]] absl::StatusOr<std::string> Gunzip(std::string_view compressed,
                                                 std::size_t most_bytes);

}  // namespace spanring::http
