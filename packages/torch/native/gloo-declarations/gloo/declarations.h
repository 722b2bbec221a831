// What the addon and libtorch's header name of Gloo, for a libtorch that has Gloo inside and brings no headers of it,
// as Python's do. Another release's headers could lay these classes out differently, so none of them has a member here
// but exported functions, which the loader finds by name or refuses to load; only pointers to them are ever held.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace gloo {

namespace transport {

class Device;

class UnboundBuffer {
 public:
  virtual ~UnboundBuffer();
};

class Address {};

class Pair {
 public:
  virtual ~Pair();
  const Address& address() const;
};

namespace tcp {

class Address : public transport::Address {
 public:
  std::vector<char> bytes() const;
  std::string str() const;
};

class Pair : public transport::Pair {
 public:
  const Address& address() const;
};

}  // namespace tcp

// Not the virtual function that it is in Gloo: its place among others is no part of what a library exports.
inline const Address& Pair::address() const { return static_cast<const tcp::Pair*>(this)->address(); }

}  // namespace transport

class Context {
 public:
  std::unique_ptr<transport::Pair>& getPair(int rank);
  void setTimeout(std::chrono::milliseconds timeout);
};

namespace rendezvous {

// c10d's header derives a class from it that the addon never makes, so it needs no more than to be overridden.
class Store {
 public:
  virtual ~Store();
  virtual void set(const std::string& key, const std::vector<char>& value) = 0;
  virtual std::vector<char> get(const std::string& key) = 0;
  virtual void wait(const std::vector<std::string>& keys) = 0;
  virtual void wait(const std::vector<std::string>& keys, const std::chrono::milliseconds& timeout) = 0;
};

}  // namespace rendezvous
}  // namespace gloo
