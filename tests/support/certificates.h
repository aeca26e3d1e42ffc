// Authorities, certificates and keys for tests of TLS, made by the openssl program in a folder of their own.
#pragma once

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/program.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::test {

// A certificate and its key as PEM files; the key has mode 0600.
struct CertificateFiles {
  std::filesystem::path certificate;
  std::filesystem::path key;
};

class Certificates {
 public:
  static bool available() { return !findProgram("openssl").empty(); }

  const std::filesystem::path& folder() const { return folder_.path(); }

  // An authority; its certificate vouches for itself.
  CertificateFiles authority(const std::string& name) {
    const CertificateFiles files = filesOf(name);
    openssl(join({"req", "-x509", "-subj", "/CN=" + name, "-days", "30", "-addext", "keyUsage=critical,keyCertSign"}, newKey(files)));
    return files;
  }

  // A certificate for 127.0.0.1 and localhost, signed by `signer`. `usage`: serverAuth or clientAuth; `from` and `to`: "20260101000000Z",
  // empty: now, and for a month.
  CertificateFiles certificate(const std::string& name, const CertificateFiles& signer, const std::string& usage = "serverAuth",
                               const std::string& from = {}, const std::string& to = {}) {
    const CertificateFiles files = filesOf(name);
    const std::filesystem::path request = folder() / (name + ".request");
    const std::filesystem::path extensions = folder() / (name + ".extensions");
    openssl(join({"req", "-new", "-subj", "/CN=" + name}, newKey({request, files.key})));
    std::ofstream(extensions) << "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=" << usage << "\n";
    if (to.empty()) {
      openssl({"x509", "-req", "-in", request, "-CA", signer.certificate, "-CAkey", signer.key, "-CAcreateserial", "-days", "30",
               "-extfile", extensions, "-out", files.certificate});
    } else {
      signWithDates(name, request, extensions, signer, from, to);
    }
    return files;
  }

  // A file of the folder with this content.
  std::filesystem::path file(const std::string& name, const std::string& content, std::filesystem::perms mode = kOwner) {
    const std::filesystem::path path = folder() / name;
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    std::filesystem::permissions(path, mode);
    return path;
  }

  // `openssl` with these words; what it prints. Throws if it fails.
  std::string openssl(const std::vector<std::string>& words) const {
    Program program(join({findProgram("openssl")}, words));
    program.closeInput();
    if (program.finish() != 0) throw std::runtime_error("openssl " + words.front() + ": " + program.error);
    return program.out;
  }

 private:
  static constexpr std::filesystem::perms kOwner = std::filesystem::perms::owner_read | std::filesystem::perms::owner_write;

  static std::vector<std::string> join(std::vector<std::string> words, const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  CertificateFiles filesOf(const std::string& name) const { return {folder() / (name + ".pem"), folder() / (name + ".key")}; }
  static std::vector<std::string> newKey(const CertificateFiles& files) {
    return {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", files.key, "-out", files.certificate};
  }

  // `openssl x509` of OpenSSL 3.0 knows days from now only; `openssl ca` knows dates, and wants a database.
  void signWithDates(const std::string& name, const std::filesystem::path& request, const std::filesystem::path& extensions,
                     const CertificateFiles& signer, const std::string& from, const std::string& to) {
    const std::filesystem::path database = file(name + ".database", "");
    const std::filesystem::path serial = file(name + ".serial", "1000\n");
    const std::filesystem::path settings = file(
        name + ".settings", "[ca]\ndefault_ca=one\n[one]\ndatabase=" + database.string() + "\nserial=" + serial.string() +
                                "\nnew_certs_dir=" + folder().string() + "\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n");
    openssl({"ca", "-batch", "-notext", "-config", settings, "-cert", signer.certificate, "-keyfile", signer.key, "-in", request,
             "-extfile", extensions, "-startdate", from, "-enddate", to, "-out", filesOf(name).certificate});
  }

  TemporaryFolder folder_;
};

}  // namespace counterfoil::test
