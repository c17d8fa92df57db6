"""Postfix, Exim and Dovecot with configurations and folders of their own, on loopback ports."""

import os
import pathlib
import pwd
import socket
import subprocess
import time

MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]


def run(*command, **options) -> subprocess.CompletedProcess:
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done


def daemon(output: pathlib.Path, *command) -> None:
    """What goes on in the background keeps its output open, so that goes to a file."""
    with output.open("w") as file:
        done = subprocess.run(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, timeout=60)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {output.read_text()}")


def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def listening(number: int, what: str) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", number), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{what} does not listen on port {number}")


def ensure_user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        run("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name)
        return pwd.getpwnam(name)


# The distribution's mail servers conflict as packages: Exim is unpacked beside Postfix.
EXIM = pathlib.Path("/var/tmp/postbound-exim")


def install() -> None:
    """What is missing of the servers and of what they link to."""
    wanted = {
        "/usr/sbin/postfix": ["postfix"],
        "/usr/sbin/dovecot": ["dovecot-core"],
        "/usr/lib/dovecot/lmtp": ["dovecot-lmtpd"],
        "/usr/bin/openssl": ["openssl"],
        "/usr/sbin/useradd": ["passwd"],
    }
    packages = [p for path, names in wanted.items() if not os.path.exists(path) for p in names]
    exim = not (EXIM / "usr/sbin/exim4").exists()
    if exim:
        packages += ["libidn12", "libgnutls-dane0", "libnsl2", "libpcre2-8-0", "libdb5.3"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if packages:
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages, env=environment)
    if exim:
        EXIM.mkdir(parents=True, exist_ok=True)
        run("apt-get", "download", "-qq", "exim4-daemon-light", "exim4-base", cwd=EXIM)
        for package in EXIM.glob("*.deb"):
            run("dpkg", "-x", package, EXIM)


def certificates(work: pathlib.Path) -> pathlib.Path:
    """An authority, and a certificate for the loopback address that it has signed."""
    tls = work / "tls"
    tls.mkdir()
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    run("openssl", "req", "-x509", *key, "-subj", "/CN=an authority of the tests",
        "-keyout", tls / "ca.key", "-out", tls / "ca.pem")  # fmt: skip
    run("openssl", "req", *key[:-2], "-subj", "/CN=localhost", "-keyout", tls / "key.pem", "-out", tls / "request")
    (tls / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    run("openssl", "x509", "-req", "-in", tls / "request", "-CA", tls / "ca.pem", "-CAkey", tls / "ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", tls / "names", "-out", tls / "cert.pem")  # fmt: skip
    (tls / "key.pem").chmod(0o644)
    return tls / "ca.pem"


class Server:
    name = ""
    recipient = "inbox@example.org"

    def __init__(self, work: pathlib.Path):
        self.work = work
        self.home = work / self.name
        self.mail = work / "mail" / self.name
        self.home.mkdir()
        self.mail.mkdir(parents=True)
        self.certificate, self.key = work / "tls/cert.pem", work / "tls/key.pem"
        self.ports: dict[str, int] = {}
        self.prepare()

    def mailbox(self, recipient: str) -> list[pathlib.Path]:
        """The messages in the recipient's Maildir."""
        return sorted(self.mail.glob("**/new/*"))

    def log(self) -> str:
        logs = [path.read_text(errors="replace") for path in self.home.glob("log*") if path.is_file()]
        return "\n".join(logs)[-3_000:]

    def at(self, service: str, *arguments) -> list[str]:
        return ["--server", f"127.0.0.1:{self.ports[service]}", *map(str, arguments)]

    def ways(self, authority: pathlib.Path) -> dict[str, list[str]]:
        """How messages are sent: what it is called, and the arguments."""
        ca = ("--ca", authority)
        ways = {
            "in clear": self.at("clear"),
            "STARTTLS": self.at("clear", "--tls", "starttls", *ca),
            "implicit TLS": self.at("implicit", "--tls", "implicit", *ca),
        }
        for mechanism in self.mechanisms:
            ways[f"STARTTLS, AUTH {mechanism}"] = self.at(
                "auth", "--tls", "starttls", *ca, "--auth", mechanism, "--auth-user", "user@example.org"
            )
        return ways

    def extensions(self) -> dict[str, list[str]]:
        """The same with service extensions in use."""
        return {
            "CHUNKING, one chunk": self.at("clear", "--chunking"),
            "CHUNKING, chunks of 100 octets": self.at("clear", "--chunking=100"),
            "SMTPUTF8": self.at("clear", "--to", "gr\u00fc\u00dfe@example.org"),
            "DSN": self.at(
                "clear", "--notify", "failure,delay", "--ret", "headers", "--envid", "order 4711+1"
            ),
        }

    mechanisms: list[str] = []


class Dovecot(Server):
    """Accounts for Postfix's AUTH, and a mailbox that is filled by LMTP."""

    name = "dovecot"
    recipient = "user@example.org"

    def prepare(self) -> None:
        self.ports = {"lmtp": port()}
        owner = ensure_user("vmail")
        os.chown(self.mail, owner.pw_uid, owner.pw_gid)
        (self.home / "users").write_text(f"user@example.org:{{PLAIN}}s3cret:{owner.pw_uid}:{owner.pw_gid}::{self.mail}::\n")
        (self.home / "dovecot.conf").write_text(f"""
base_dir = {self.home}/run
state_dir = {self.home}/state
log_path = {self.home}/log
protocols = lmtp
listen = 127.0.0.1
ssl = no
auth_mechanisms = {" ".join(MECHANISMS).lower()}
disable_plaintext_auth = no
mail_location = maildir:{self.mail}
first_valid_uid = 1
default_internal_user = dovecot
default_login_user = dovenull
passdb {{
  driver = passwd-file
  args = {self.home}/users
}}
userdb {{
  driver = passwd-file
  args = {self.home}/users
}}
service auth {{
  unix_listener {self.home}/auth {{
    mode = 0666
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {self.ports["lmtp"]}
  }}
}}
""")

    def start(self) -> None:
        daemon(self.home / "output", "dovecot", "-c", self.home / "dovecot.conf")
        listening(self.ports["lmtp"], "Dovecot")

    def extensions(self) -> dict[str, list[str]]:
        return {}

    def stop(self) -> None:
        subprocess.run(["dovecot", "-c", self.home / "dovecot.conf", "stop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)

    def ways(self, authority: pathlib.Path) -> dict[str, list[str]]:
        return {
            "LMTP": self.at("lmtp", "--lmtp"),
            "LMTP, CHUNKING": self.at("lmtp", "--lmtp", "--chunking=100"),
        }


class Postfix(Server):
    name = "postfix"
    mechanisms = MECHANISMS

    def prepare(self) -> None:
        self.ports = {"clear": port(), "implicit": port(), "auth": port()}
        owner = ensure_user("vmail")
        os.chown(self.mail, owner.pw_uid, owner.pw_gid)
        for folder in ("etc", "queue", "data"):
            (self.home / folder).mkdir()
        postfix = pwd.getpwnam("postfix")
        os.chown(self.home / "data", postfix.pw_uid, postfix.pw_gid)
        (self.home / "etc/main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {self.home}/queue
data_directory = {self.home}/data
maillog_file = {self.home}/log
maillog_file_prefixes = {self.home}
myhostname = postfix.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
local_header_rewrite_clients =
smtputf8_enable = yes
virtual_mailbox_domains = example.org
virtual_mailbox_base = {self.mail}
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{owner.pw_uid}
virtual_gid_maps = static:{owner.pw_gid}
virtual_minimum_uid = 1
alias_maps =
smtpd_relay_restrictions = permit_auth_destination, reject
smtpd_tls_security_level = may
smtpd_tls_cert_file = {self.certificate}
smtpd_tls_key_file = {self.key}
smtpd_sasl_type = dovecot
smtpd_sasl_path = {self.work}/dovecot/auth
smtpd_delay_reject = yes
""")
        services = f"""
{self.ports["clear"]} inet n - n - - smtpd
{self.ports["implicit"]} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
{self.ports["auth"]} inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_client_restrictions=permit_sasl_authenticated,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
        (self.home / "etc/master.cf").write_text(services.lstrip())

    def start(self) -> None:
        daemon(self.home / "output", "postfix", "-c", self.home / "etc", "start")
        for number in self.ports.values():
            listening(number, "Postfix")

    def stop(self) -> None:
        subprocess.run(["postfix", "-c", self.home / "etc", "stop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)


class Exim(Server):
    name = "exim"
    mechanisms = ["PLAIN", "LOGIN", "CRAM-MD5"]

    def prepare(self) -> None:
        self.ports = {"clear": port(), "implicit": port()}
        self.ports["auth"] = self.ports["clear"]
        self.program = EXIM / "usr/sbin/exim4"
        owner = ensure_user("Debian-exim")
        for folder in (self.mail, self.home / "spool", self.home / "logs"):
            folder.mkdir(exist_ok=True)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        os.chown(self.home, owner.pw_uid, owner.pw_gid)
        (self.home / "exim.conf").write_text(f"""
exim_path = {self.program}
exim_user = Debian-exim
exim_group = {owner.pw_gid}
spool_directory = {self.home}/spool
log_file_path = {self.home}/log-%s
pid_file_path = {self.home}/pid
primary_hostname = exim.example
daemon_smtp_ports = {self.ports["clear"]} : {self.ports["implicit"]}
tls_on_connect_ports = {self.ports["implicit"]}
local_interfaces = 127.0.0.1
domainlist local_domains = example.org
keep_environment =
tls_advertise_hosts = *
tls_certificate = {self.certificate}
tls_privatekey = {self.key}
chunking_advertise_hosts = *
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
pipelining_advertise_hosts = *
acl_smtp_rcpt = all
acl_smtp_data = all
begin acl
all:
  accept
begin routers
mailbox:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {self.mail}
  maildir_format
  user = Debian-exim
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${{if and{{{{eq{{$auth2}}{{user@example.org}}}}{{eq{{$auth3}}{{s3cret}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{user@example.org}}}}{{eq{{$auth2}}{{s3cret}}}}}}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${{if eq{{$auth1}}{{user@example.org}}{{s3cret}}fail}}
  server_set_id = $auth1
""")

    def start(self) -> None:
        daemon(self.home / "output", self.program, "-C", self.home / "exim.conf", "-bd")
        for number in (self.ports["clear"], self.ports["implicit"]):
            listening(number, "Exim")

    def stop(self) -> None:
        pid = self.home / "pid"
        if pid.exists():
            subprocess.run(["kill", pid.read_text().strip()], capture_output=True)


SERVERS = {"dovecot": Dovecot, "postfix": Postfix, "exim": Exim}
