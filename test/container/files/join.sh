# What an administrator does after the installation, as docs/operations.md says.
mailstork setup dovecot --print=drop-in >/etc/dovecot/conf.d/05-mailstork.conf
mailstork setup dovecot --print=hook | sed "s/CLIENT_SECRET/$(cat /var/lib/mailstork/hook-secret)/" >/etc/dovecot/mailstork-hook.conf.ext
chown root:dovecot /etc/dovecot/mailstork-hook.conf.ext
chmod 0640 /etc/dovecot/mailstork-hook.conf.ext
doveconf -n >/dev/null
systemctl restart dovecot

grep -v '^#' /usr/share/mailstork/postfix/main.cf >>/etc/postfix/main.cf
postfix reload

# The source of this test is on the same machine.
sed -i 's/^  #allow_private_addresses: false/  allow_private_addresses: true/' /etc/mailstork/mailstork.yaml
mailstork serve --check
systemctl restart mailstork
mailstork domain add example.org --source imap://127.0.0.1:1143 --no-tls --accounts any --mx mx.example.org --outgoing 192.0.2.25
