"""Servers on the machine itself that the API server calls, and certificates."""

import datetime
import ipaddress
import json
import ssl
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@contextmanager
def https_server(answer, *hosts):
    """Serves what `answer(method, path, headers, body)` gives, a status and what becomes JSON, on all addresses of this machine; yields
    the port and the PEM of the authority that signed for 127.0.0.1 and `hosts`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, said = answer(self.command, self.path, self.headers, json.loads(body) if body else None)
            said = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_):
            pass

    authority, chain = certificate_for(hosts)
    server = Server(("", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(chain)
        file.flush()
        context.load_cert_chain(file.name)
    # the handshake is done by the connection's own thread
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield SimpleNamespace(port=server.server_address[1], authority=authority)
    finally:
        server.shutdown()
        server.server_close()


def certificate_for(hosts):
    """A new authority's certificate, and a key with the certificate that it signed, as PEM."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def signed(key, subject, issuer, by, *extensions):
        built = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        built = built.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(hours=1))
        for extension in extensions:
            built = built.add_extension(extension, critical=False)
        return built.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def called(common_name):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])

    above, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = signed(above, called("authority"), called("authority"), above, x509.BasicConstraints(ca=True, path_length=None))
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *map(x509.DNSName, hosts)]
    own = signed(key, called("server"), called("authority"), above, x509.SubjectAlternativeName(names))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return authority, private + own
