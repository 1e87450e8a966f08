package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"mailstork/authhook"
	"mailstork/daemon/control"
)

// dial connects to host:port or the path of a Unix socket.
func (d *doctor) dial(address string) (net.Conn, error) {
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	ctx, cancel := context.WithTimeout(d.ctx, probeTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(probeTimeout)); err != nil {
		return nil, err
	}
	return conn, nil
}

// dovecot looks for the greeting only; the daemon tests the rest, since only it has the master user's password.
func (d *doctor) dovecot() {
	address := d.config.Dovecot.IMAPAddress
	const next = "systemctl status dovecot; doveconf service/imap-login   # or set dovecot.imap_address"
	conn, err := d.dial(address)
	if err != nil {
		d.add("dovecot", control.Fail, next, "Nothing answers IMAP at %s: %v.", address, err)
		return
	}
	defer conn.Close()
	line, err := bufio.NewReader(io.LimitReader(conn, 8<<10)).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "* OK") {
		d.add("dovecot", control.Fail, next, "What answers at %s is not an IMAP server that is ready: %q.", address, strings.TrimSpace(line))
		return
	}
	d.add("dovecot", control.OK, "", "IMAP answers at %s.", address)
}

// doctorName is an account that nobody can have (RFC 2606 §2): the hook must say that it is not ours.
const doctorName = "doctor@mailstork.invalid"

func (d *doctor) hook() {
	address := d.config.Hook.Listen
	const next = "journalctl -u mailstork -n 50"
	clientSecret, err := os.ReadFile(d.config.Hook.ClientSecretFile)
	if err != nil {
		d.add("hook", control.Warn, "sudo mailstork doctor", "The hook was not asked, since its client secret can't be read: %v.", err)
		return
	}
	answer, err := d.askHook(address, strings.TrimSpace(string(clientSecret)))
	if err != nil {
		d.add("hook", control.Fail, next, "The hook at %s does not answer Dovecot: %v.", address, err)
		return
	}
	var reply struct{ Username, Active string }
	if err := json.Unmarshal(answer, &reply); err != nil || reply.Username == doctorName || reply.Active != "true" {
		d.add("hook", control.Fail, next, "The hook at %s gives an answer that Dovecot would misunderstand.", address)
		return
	}
	d.add("hook", control.OK, "", "The hook at %s answers, and does not know strangers.", address)
}

// askHook asks as Dovecot does.
func (d *doctor) askHook(address, clientSecret string) ([]byte, error) {
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return d.dial(address) }}
	defer transport.CloseIdleConnections()
	form := url.Values{
		"grant_type": {"password"}, "username": {doctorName}, "password": {"-"},
		"client_id": {"dovecot"}, "client_secret": {clientSecret},
	}
	ctx, cancel := context.WithTimeout(d.ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1"+authhook.GrantPath, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it says %s", response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, 64<<10))
}

// negotiate is the first packet of the milter protocol, as Postfix sends it: length, command O, version 6, all actions,
// all protocol steps.
var negotiate = []byte{0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff}

func (d *doctor) milter() {
	address := d.config.Milter.Listen
	if address == "" {
		d.add("milter", control.Warn, "set milter.listen, then: systemctl restart mailstork", "The milter is off: a letter that comes here directly and from the source is matched by its content only.")
		return
	}
	const next = "journalctl -u mailstork -n 50"
	conn, err := d.dial(address)
	if err != nil {
		d.add("milter", control.Fail, next, "Nothing answers at the milter's address %s: %v.", address, err)
		return
	}
	defer conn.Close()
	head := make([]byte, 5)
	if _, err = conn.Write(negotiate); err == nil {
		_, err = io.ReadFull(conn, head)
	}
	if err != nil || head[4] != 'O' || binary.BigEndian.Uint32(head) > 1<<16 {
		d.add("milter", control.Fail, next, "What answers at %s does not speak the milter protocol.", address)
		return
	}
	_, _ = conn.Write([]byte{0, 0, 0, 1, 'Q'}) // goodbye; the answer was what we came for
	d.add("milter", control.OK, "", "The milter answers at %s.", address)
}
