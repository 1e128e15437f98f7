#include "http/server.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <exception>
#include <optional>
#include <thread>
#include <unordered_set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "http/compression.h"

namespace spanring::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

// Beast reads as much at once, and bounds by itself neither the line before a chunk nor what stands
// behind the last.
constexpr std::size_t kBufferBytes = std::size_t{64} * 1024;

absl::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

// All but the target and the body.
Request FromWire(const wire::request_header<>& received) {
  Request request;
  const beast::string_view method = received.method_string();
  request.method = received.method() == wire::verb::head ? "GET" : std::string(method);
  for (const auto& field : received) {
    request.headers.emplace_back(absl::AsciiStrToLower(View(field.name_string())),
                                 std::string(field.value()));
  }
  return request;
}

// "" where the header is sound. What a proxy in front may read in another way than we do ends here,
// or one's request could bring another's with it: RFC 9112, 3.2, 6.1 and 6.3.
const char* FaultOf(const wire::request_header<>& received) {
  if (received.count(wire::field::host) > 1) return "more than one Host";
  const std::size_t codings = received.count(wire::field::transfer_encoding);
  const absl::string_view coding = View(received[wire::field::transfer_encoding]);
  if (codings > 1 || (codings == 1 && !absl::EqualsIgnoreCase(coding, "chunked"))) {
    return "the only Transfer-Encoding here is chunked";
  }
  return "";
}

// What the client did wrong, or 0 where there is nobody to tell.
int StatusOf(const error_code& error) {
  if (error == wire::error::body_limit) return 413;
  if (error == wire::error::header_limit || error == wire::error::buffer_overflow) return 431;
  if (error == beast::error::timeout) return 0;
  if (error.category() == make_error_code(wire::error::bad_version).category()) {
    const bool is_gone =
        error == wire::error::end_of_stream || error == wire::error::partial_message;
    return is_gone ? 0 : 400;
  }
  return 0;
}

}  // namespace

class Server::Impl {
 public:
  Impl(const ServerOptions& options, Handler handler)
      : options_(options),
        handler_(std::move(handler)),
        acceptor_(io_),
        timer_(io_),
        workers_(options.workers) {}

  absl::Status Listen() {
    error_code error;
    const asio::ip::address address = asio::ip::make_address(options_.address, error);
    if (error) {
      return absl::InvalidArgumentError(
          absl::StrCat("not an address to listen on: ", options_.address));
    }
    const tcp::endpoint endpoint(address, options_.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot listen on ", options_.address, ":", options_.port, ": ",
                       error.message(), ": choose another with ", options_.port_option));
    }
    port_ = acceptor_.local_endpoint().port();
    Accept();
    thread_ = std::jthread([this] { io_.run(); });
    return absl::OkStatus();
  }

  bool Stop() {
    if (!thread_.joinable()) return !is_cut_short_;
    asio::post(io_, [this] { BeginStop(); });
    thread_.join();
    has_ended_ = true;
    return !is_cut_short_;
  }

  ~Impl() {
    Stop();
    // Handlers that are still at it end by their own deadlines; nobody waits for their answers.
    workers_.join();
  }

  std::uint16_t port() const { return port_; }

  ServerCounts counts() const {
    // relaxed: numbers for people, each right by itself.
    return {.connections = connections_.load(std::memory_order_relaxed),
            .connections_refused = connections_refused_.load(std::memory_order_relaxed),
            .requests = requests_.load(std::memory_order_relaxed),
            .requests_refused = requests_refused_.load(std::memory_order_relaxed),
            .open_connections = open_connections_.load(std::memory_order_relaxed)};
  }

 private:
  class Connection;

  static void Count(std::atomic<std::uint64_t>* counter) {
    // relaxed: a number for people, see counts().
    counter->fetch_add(1, std::memory_order_relaxed);
  }

  void Accept();
  void BeginStop();

  const ServerOptions options_;
  const Handler handler_;
  std::uint16_t port_ = 0;

  // On the server's thread only.
  std::unordered_set<Connection*> open_;
  std::size_t waiting_ = 0;
  std::size_t held_bytes_ = 0;  // of answers that are being written
  bool is_stopping_ = false;
  bool is_cut_short_ = false;  // read by the owner when that thread has ended
  bool has_ended_ = false;     // written by the owner then

  // Any thread.
  std::atomic<std::uint64_t> connections_ = 0;
  std::atomic<std::uint64_t> connections_refused_ = 0;
  std::atomic<std::uint64_t> requests_ = 0;
  std::atomic<std::uint64_t> requests_refused_ = 0;
  std::atomic<std::uint64_t> open_connections_ = 0;

  // Behind what connections touch when they go with it.
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer timer_;  // until connections are taken again, or the stop is over
  asio::thread_pool workers_;
  std::jthread thread_;
};

// One client. It keeps itself alive while an operation is under way: read -> handle -> write ->
// read.
class Server::Impl::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Impl* server, tcp::socket socket)
      : server_(server),
        stream_(std::move(socket)),
        buffer_(kBufferBytes + server->options_.max_header_bytes) {
    server_->open_.insert(this);
    // relaxed: a number for people, see counts().
    server_->open_connections_.store(server_->open_.size(), std::memory_order_relaxed);
  }
  ~Connection() {
    server_->open_.erase(this);
    Hold(0);
    // relaxed: a number for people, see counts().
    server_->open_connections_.store(server_->open_.size(), std::memory_order_relaxed);
    // Those that a handler has kept until now go with the server, behind its timer.
    if (server_->has_ended_) return;
    if (server_->is_stopping_ && server_->open_.empty()) server_->timer_.cancel();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Waits for the first byte of a request, then for the rest, each with a deadline of its own.
  void Await() {
    if (server_->is_stopping_) return Close();
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(server_->options_.max_header_bytes));
    parser_->body_limit(server_->options_.max_body_bytes);
    if (buffer_.size() > 0) return Read();
    is_idle_ = true;
    stream_.expires_after(server_->options_.idle_time);
    stream_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](
                                                       const error_code& error, std::size_t bytes) {
      self->is_idle_ = false;
      if (error) return self->Close();
      self->buffer_.commit(bytes);
      self->Read();
    });
  }

  // Ends what waits for a request. What is being answered ends by itself.
  void StopIfIdle() {
    if (is_idle_) Close();
  }

  void Close() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.close();
  }

 private:
  void Read() {
    stream_.expires_after(server_->options_.request_time);
    wire::async_read_header(stream_, buffer_, *parser_,
                            [self = shared_from_this()](const error_code& error, std::size_t) {
                              if (error) return self->Fail(error);
                              self->OnHeader();
                            });
  }

  void OnHeader() {
    const wire::request_header<>& received = parser_->get();
    // Now: what stands behind a chunked body is no header.
    request_ = std::make_shared<Request>(FromWire(received));
    is_head_ = received.method() == wire::verb::head;
    version_ = received.version();
    keep_alive_ = parser_->get().keep_alive();
    if (const char* fault = FaultOf(received); *fault != '\0') return Refuse(400, fault);
    const beast::string_view target = received.target();
    if (!ParseTarget({target.data(), target.size()}, request_.get())) {
      return Refuse(400, "the path or the query is malformed");
    }
    const bool is_awaited =
        absl::EqualsIgnoreCase(View(received[wire::field::expect]), "100-continue");
    if (!is_awaited || version_ < 11 || parser_->is_done()) return ReadBody();
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(stream_, asio::buffer(kContinue),
                      [self = shared_from_this()](const error_code& error, std::size_t) {
                        if (error) return self->Fail(error);
                        self->ReadBody();
                      });
  }

  void ReadBody() {
    wire::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](const error_code& error, std::size_t) {
                       if (error) return self->Fail(error);
                       self->OnRead();
                     });
  }

  void Fail(const error_code& error) {
    const int status = StatusOf(error);
    if (status == 0) {
      if (error == beast::error::timeout) Count(&server_->requests_refused_);
      return Close();
    }
    if (request_ == nullptr) request_ = std::make_shared<Request>(FromWire(parser_->get()));
    Refuse(status, status == 400 ? "not an HTTP request" : "the request is too large");
  }

  void OnRead() {
    Count(&server_->requests_);
    request_->body = std::move(parser_->get().body());
    if (server_->waiting_ >= server_->options_.workers + server_->options_.max_waiting) {
      return Refuse(503, "too many requests at once: try again");
    }
    ++server_->waiting_;
    auto request = std::exchange(request_, nullptr);
    stream_.expires_never();
    // The guard: without it the server's thread would end while a worker has the last request.
    asio::post(server_->workers_, [self = shared_from_this(), request,
                                   guard = asio::make_work_guard(server_->io_)]() mutable {
      auto response = std::make_shared<Response>(self->Handle(*request));
      Server::Impl* server = self->server_;
      // The connection ends on the server's thread, if it ends here.
      asio::post(server->io_, [self = std::move(self), request, response] {
        --self->server_->waiting_;
        if (self->WouldHoldTooMuch(response->body.size())) {
          self->request_ = request;
          return self->Refuse(503, "too many answers that nobody takes: try again");
        }
        self->Write(std::move(*response));
      });
    });
  }

  Response Handle(const Request& request) {
    try {
      Response response = server_->handler_(request);
      Compress(request, &response);
      return response;
    } catch (const std::exception&) {
      return server_->options_.refusal(request, 500, "the server failed on this request");
    }
  }

  void Refuse(int status, const char* message) {
    Count(&server_->requests_refused_);
    keep_alive_ = false;
    Response response = server_->options_.refusal(*request_, status, message);
    request_ = nullptr;
    if (status == 503) response.headers.emplace_back("Retry-After", "1");
    Write(std::move(response));
  }

  bool WouldHoldTooMuch(std::size_t bytes) const {
    const std::size_t held = server_->held_bytes_;
    return held > 0 && held + bytes > server_->options_.max_held_bytes;
  }

  // So many bytes of an answer are kept here from now on.
  void Hold(std::size_t bytes) {
    server_->held_bytes_ += bytes - held_bytes_;
    held_bytes_ = bytes;
  }

  void Write(Response response) {
    Hold(response.body.size());
    message_.emplace();
    message_->version(version_);
    message_->result(static_cast<unsigned>(response.status));
    if (!response.content_type.empty()) {
      message_->set(wire::field::content_type, response.content_type);
    }
    message_->set(wire::field::date,
                  absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::Now(), absl::UTCTimeZone()));
    for (const auto& [name, value] : response.headers) message_->set(name, value);
    message_->keep_alive(keep_alive_ && !server_->is_stopping_);
    const bool has_body = response.status != 204 && response.status != 304;
    if (has_body) message_->content_length(response.body.size());
    if (has_body && !is_head_) message_->body() = std::move(response.body);
    stream_.expires_after(server_->options_.response_time);
    wire::async_write(stream_, *message_,
                      [self = shared_from_this()](const error_code& error, std::size_t) {
                        const bool is_last = error || !self->message_->keep_alive();
                        self->message_.reset();
                        self->Hold(0);
                        if (is_last) return self->Linger();
                        self->Await();
                      });
  }

  // A client that still sends would be reset before it reads the answer: what it sends is taken for
  // a moment, then the connection ends.
  void Linger() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(std::chrono::seconds(1));
    Drain(1024);
  }

  void Drain(int reads) {
    if (reads == 0) return Close();
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(4096), [self = shared_from_this(), reads](
                                                       const error_code& error, std::size_t) {
      if (error) return self->Close();
      self->Drain(reads - 1);
    });
  }

  Impl* const server_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;  // of what is no body: that is taken out of it piece by piece
  std::optional<wire::request_parser<wire::string_body>> parser_;
  std::shared_ptr<Request> request_;  // until it is whole
  std::optional<wire::response<wire::string_body>> message_;
  std::size_t held_bytes_ = 0;  // of message_
  unsigned version_ = 11;
  bool is_head_ = false;
  bool keep_alive_ = false;
  bool is_idle_ = false;
};

void Server::Impl::Accept() {
  acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
    if (is_stopping_) return;
    if (!error) {
      Count(&connections_);
      if (open_.size() >= options_.max_connections) {
        Count(&connections_refused_);
        error_code ignored;
        socket.close(ignored);
      } else {
        std::make_shared<Connection>(this, std::move(socket))->Await();
      }
      return Accept();
    }
    // Out of descriptors, say: a pause, or this loop would take a whole processor.
    timer_.expires_after(std::chrono::milliseconds(100));
    timer_.async_wait([this](const error_code& cancelled) {
      if (!cancelled && !is_stopping_) Accept();
    });
  });
}

void Server::Impl::BeginStop() {
  is_stopping_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  for (Connection* connection : open_) connection->StopIfIdle();
  if (open_.empty()) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(options_.stop_time);
  timer_.async_wait([this](const error_code& cancelled) {
    if (cancelled) return;
    for (Connection* connection : open_) connection->Close();
    is_cut_short_ = true;
    workers_.stop();
    io_.stop();
  });
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { Stop(); }

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      Handler handler) {
  auto impl = std::make_unique<Impl>(options, std::move(handler));
  absl::Status status = impl->Listen();
  if (!status.ok()) return status;
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

std::uint16_t Server::port() const { return impl_->port(); }
ServerCounts Server::counts() const { return impl_->counts(); }
bool Server::Stop() { return impl_->Stop(); }

}  // namespace spanring::http
