# SPDX-License-Identifier: Apache-2.0
"""tests/support/certificates.py - certificates of 127.0.0.1 or of given addresses, signed by an authority of the test's own."""
import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def _name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


class Authority:
    """ca.pem in `folder`; issue() writes certificates and keys there."""

    def __init__(self, folder):
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.file = folder / "ca.pem"
        certificate = self._build("authority", self.key.public_key(), 1, True)
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _build(self, name, key, days, is_authority, addresses=("127.0.0.1",)):
        now = datetime.datetime.now(datetime.timezone.utc)
        begin = now - datetime.timedelta(days=2)
        builder = (x509.CertificateBuilder().subject_name(_name(name))
                   .issuer_name(_name("authority")).public_key(key)
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(begin).not_valid_after(now + datetime.timedelta(days=days))
                   .add_extension(x509.BasicConstraints(is_authority, None), critical=True))
        if not is_authority:
            builder = builder.add_extension(x509.SubjectAlternativeName(
                [*(x509.IPAddress(ipaddress.ip_address(a)) for a in addresses), x509.DNSName("localhost")]),
                critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name, days=1, addresses=("127.0.0.1",)):
        """(PEM of the certificate, PEM of its key, serial number)."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._build(name, key.public_key(), days, False, addresses)
        return (certificate.public_bytes(serialization.Encoding.PEM),
                key.private_bytes(serialization.Encoding.PEM,
                                  serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()),
                certificate.serial_number)
