"""A real SMTP server (aiosmtpd) takes what Quell's transport sends: in the clear on loopback, by TLS, and by STARTTLS.

Usage: mail.py COMMAND…  The command sends; it finds the servers in QUELL_TEST_SMTP. Then every mail is parsed by
Python's own parser and looked at.
"""

import email
import email.policy
import logging
import os
import re
import ssl
import subprocess
import sys
import tempfile

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

OURS = "https://quell.example.com/approvals/1"


class Keeper:
    def __init__(self, taken, by_tls):
        self.taken, self.by_tls = taken, by_tls

    async def handle_DATA(self, server, session, envelope):
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content, self.by_tls))
        return "250 taken"


def sign_in(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"quell", b"s3cret")
    return AuthResult(success=good)


def certificate(folder):
    key, cert = os.path.join(folder, "key.pem"), os.path.join(folder, "cert.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
               "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", cert]
    subprocess.run(command, check=True, capture_output=True)
    return key, cert


def main():
    logging.disable(logging.WARNING)
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        key, cert = certificate(folder)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(cert, key)
        taken = []
        common = dict(authenticator=sign_in, auth_required=True, auth_require_tls=False)
        clear = Controller(Keeper(taken, False), hostname="127.0.0.1", port=0, **common)
        wrapped = Controller(Keeper(taken, True), hostname="127.0.0.1", port=0, ssl_context=tls, **common)
        # Takes nothing before STARTTLS.
        late = Controller(Keeper(taken, True), hostname="127.0.0.1", port=0, tls_context=tls, require_starttls=True, **common)
        servers = []
        for controller in (clear, wrapped, late):
            # The library asks for its own port before it tells which one that is.
            controller.port = free()
            controller.start()
            servers.append(controller.port)
        urls = f"smtp://127.0.0.1:{servers[0]} smtps://localhost:{servers[1]} smtp://localhost:{servers[2]}"
        env = dict(os.environ, QUELL_TEST_SMTP=urls, SSL_CERT_FILE=cert)
        sent = subprocess.run(sys.argv[1:], env=env).returncode
        trusted = len(taken)
        # The same without trust in the certificate: nothing may arrive by TLS.
        empty = os.path.join(folder, "other.pem")
        other = certificate(tempfile.mkdtemp(dir=folder))[1]
        os.replace(other, empty)
        env["SSL_CERT_FILE"] = empty
        for url in urls.split(" ")[1:]:
            env["QUELL_TEST_SMTP"] = url
            refused = subprocess.run(sys.argv[1:], env=env, capture_output=True).returncode
            if refused == 0 or len(taken) != trusted:
                wrong.append(f"a certificate that nobody trusts was accepted: {url}")
        for controller in (clear, wrapped, late):
            controller.stop()
    if sent != 0:
        wrong.append("sending failed")
    if [by_tls for *_, by_tls in taken] != [False, False, True, True, True, True]:
        wrong.append("not all ways were used")
    for sender, people, content, _ in taken:
        wrong.extend(look(sender, people, content))
    print(f"mail: {len(taken)} taken by a real server; {len(wrong)} wrong")
    for what in wrong:
        print(f"WRONG  {what}")
    return 1 if wrong or not taken else 0


def free():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def look(sender, people, content):
    mail = email.message_from_bytes(content, policy=email.policy.default)
    names = [name.lower() for name in mail.keys()]
    allowed = {"from", "to", "subject", "message-id", "date", "mime-version", "content-type", "auto-submitted",
               "in-reply-to", "references", "importance", "x-peer", "x-mailfrom", "x-rcptto"}
    if mail.defects:
        yield f"defects: {mail.defects}"
    if set(names) - allowed or len(names) != len(set(names)):
        yield f"headers: {names}"
    if sender != "quell@example.com" or people != ["soc@example.com", "lea@example.com"]:
        yield f"envelope: {sender} {people}"
    if mail["auto-submitted"] != "auto-generated" or not mail["message-id"]:
        yield "it does not say that a machine wrote it"
    kinds = [part.get_content_type() for part in mail.walk()]
    if kinds != ["multipart/alternative", "text/plain", "text/html"]:
        yield f"parts: {kinds}"
    for part in mail.walk():
        if part.get_content_maintype() != "text":
            continue
        text = part.get_content()
        links = set(re.findall(r"[a-z]+://[^\s\"<]+", text))
        if links != {OURS}:
            yield f"links: {links}"
        if part.get_content_subtype() == "html" and "<script" in text:
            yield "a script"


if __name__ == "__main__":
    sys.exit(main())
