# SPDX-License-Identifier: Apache-2.0
"""tests/support/ssh.py - OpenSSH between the hosts of support/netns, with keys of its own.

    ssh = Ssh(folder)
    ssh.serve(host)             # sshd inside the host, until the network goes
    [*ssh.command, address, "true"]

Nothing of this machine's own SSH is read or written.  Needs root, ssh and sshd.
"""
import os
import shutil
import subprocess

PORT = 22


class Ssh:
    def __init__(self, folder):
        self.folder = folder / "ssh"
        self.folder.mkdir(mode=0o700)
        self.sshd = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
        missing = [name for name, path in (("ssh", shutil.which("ssh")), ("sshd", self.sshd))
                   if path is None]
        assert not missing, f"{missing} missing: install openssh-client and openssh-server"
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                            str(self.folder / key)], check=True, timeout=60)
        public = (self.folder / "host.pub").read_text()
        (self.folder / "known").write_text(f"* {public}")
        self.config = self.folder / "config"
        self.config.write_text(
            f"Host *\n  IdentityFile {self.folder}/user\n  IdentitiesOnly yes\n  BatchMode yes\n"
            f"  UserKnownHostsFile {self.folder}/known\n  GlobalKnownHostsFile /dev/null\n"
            f"  StrictHostKeyChecking yes\n  ConnectTimeout 20\n  Port {PORT}\n")
        self.command = ["ssh", "-F", str(self.config)]

    def serve(self, host, name=None):
        """sshd on every address of `host`, whose machine is called `name`."""
        settings = self.folder / f"sshd-{host.address}"
        settings.write_text(
            f"Port {PORT}\nListenAddress {host.address}\nHostKey {self.folder}/host\n"
            f"AuthorizedKeysFile {self.folder}/user.pub\nPidFile none\nStrictModes no\n"
            "UsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nMaxStartups 100\n")
        os.makedirs("/run/sshd", exist_ok=True)    # what it locks itself into
        return host.popen(called(name, [self.sshd, "-D", "-e", "-f", str(settings)]),
                          stdin=subprocess.DEVNULL,
                          stderr=open(self.folder / f"log-{host.address}", "ab"))


def called(name, command):
    """`command` on a machine of that name: another name for each, as programs tell machines by it."""
    if name is None:
        return command
    return ["unshare", "--uts", "sh", "-c", f'hostname {name} && exec "$@"', "sh", *map(str, command)]
