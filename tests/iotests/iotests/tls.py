"""Certificates and keys, made by certtool and psktool

SPDX-License-Identifier: GPL-2.0-or-later
"""

from pathlib import Path

from .tools import run

CA = 'cn = iotests CA\nca\ncert_signing_key\n'
SERVER = ('cn = localhost\ndns_name = localhost\nip_address = 127.0.0.1\n'
          'tls_www_server\nencryption_key\nsigning_key\n')
CLIENT = ('cn = {name}\ntls_www_client\nencryption_key\nsigning_key\n')


class Certificates:
    """One authority; server and client directories as QEMU wants them"""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir()
        self.ca_key = self.key(self.directory / 'ca-key.pem')
        self.ca_cert = self.directory / 'ca-cert.pem'
        run('certtool', '--generate-self-signed',
            '--load-privkey', self.ca_key, '--outfile', self.ca_cert,
            '--template', self.template(CA))

    def key(self, path):
        # Elliptic curve keys are made in no time
        run('certtool', '--generate-privkey', '--key-type', 'ecdsa',
            '--outfile', path)
        return path

    def template(self, text):
        path = self.directory / 'template'
        path.write_text(text + 'expiration_days = 10\n', encoding='utf-8')
        return path

    def issue(self, directory, kind, text):
        """A directory with key, certificate and the authority's"""
        directory = self.directory / directory
        directory.mkdir()
        key = self.key(directory / f'{kind}-key.pem')
        run('certtool', '--generate-certificate',
            '--load-ca-privkey', self.ca_key,
            '--load-ca-certificate', self.ca_cert, '--load-privkey', key,
            '--outfile', directory / f'{kind}-cert.pem',
            '--template', self.template(text))
        (directory / 'ca-cert.pem').write_bytes(self.ca_cert.read_bytes())
        return str(directory)

    def server(self, directory='server'):
        return self.issue(directory, 'server', SERVER)

    def client(self, name='client1', directory=None):
        return self.issue(directory or name, 'client',
                          CLIENT.format(name=name))

    def stranger(self, other):
        """A client that knows us, with a certificate of authority @other"""
        directory = Path(other.client('stranger'))
        (directory / 'ca-cert.pem').write_bytes(self.ca_cert.read_bytes())
        return str(directory)

    def nobody(self):
        """A client that knows us and has no certificate"""
        directory = self.directory / 'nobody'
        directory.mkdir()
        (directory / 'ca-cert.pem').write_bytes(self.ca_cert.read_bytes())
        return str(directory)


def psk_directory(directory, *users):
    """A directory with keys.psk for @users; returns its path"""
    directory = Path(directory)
    directory.mkdir()
    for user in users:
        run('psktool', '-u', user, '-p', directory / 'keys.psk')
    return str(directory)
