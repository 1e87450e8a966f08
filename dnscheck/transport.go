package dnscheck

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// Exchanger carries one question to one server and brings the answer back. network is "udp" or "tcp". It is called
// from several goroutines; the answer belongs to the caller; retries are the caller's.
type Exchanger interface {
	Exchange(ctx context.Context, network string, server netip.AddrPort, question *dns.Msg) (*dns.Msg, error)
}

const (
	// ednsSize keeps UDP answers below the fragmentation that off-path forgers use.
	ednsSize = 1232
	// udpBuffer leaves room for servers that ignore ednsSize.
	udpBuffer = 4096
	// maxStray caps how many packets that answer another question are read before a query is given up.
	maxStray = 32
)

// errNoRoute says that this machine cannot reach an address family at all; nothing was sent.
var errNoRoute = errors.New("no route from this machine")

// wire is the real network.
type wire struct{ timeout time.Duration }

// Exchange sends from a fresh connected socket: the kernel picks a random port and drops what others send.
func (w wire) Exchange(ctx context.Context, network string, server netip.AddrPort, question *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, server.String())
	if err != nil {
		if network == "udp" && unroutable(err) {
			return nil, errNoRoute
		}
		return nil, fmt.Errorf("connecting: %w", err)
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	packet, err := question.Pack()
	if err != nil {
		return nil, fmt.Errorf("packing question: %w", err)
	}
	if network == "tcp" {
		return exchangeTCP(conn, packet, question)
	}
	return exchangeUDP(conn, packet, question)
}

func exchangeUDP(conn net.Conn, packet []byte, question *dns.Msg) (*dns.Msg, error) {
	if _, err := conn.Write(packet); err != nil {
		return nil, fmt.Errorf("sending question: %w", err)
	}
	buffer := make([]byte, udpBuffer)
	for range maxStray {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, fmt.Errorf("reading answer: %w", err)
		}
		if answer, err := parse(buffer[:n], question); err == nil {
			return answer, nil
		} else if !errors.Is(err, errStray) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("reading answer: %d packets that answer another question", maxStray)
}

func exchangeTCP(conn net.Conn, packet []byte, question *dns.Msg) (*dns.Msg, error) {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, len(packet)+2), uint16(len(packet)))
	if _, err := conn.Write(append(framed, packet...)); err != nil {
		return nil, fmt.Errorf("sending question: %w", err)
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, fmt.Errorf("reading answer: %w", err)
	}
	buffer := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, buffer); err != nil {
		return nil, fmt.Errorf("reading answer: %w", err)
	}
	return parse(buffer, question)
}

// errStray marks a packet that belongs to another question: a late answer or a forgery.
var errStray = errors.New("answer to another question")

// parse turns foreign bytes into the answer to question. Id, QR bit and the whole question must match (RFC 5452 §9.1).
func parse(packet []byte, question *dns.Msg) (*dns.Msg, error) {
	answer := new(dns.Msg)
	err := answer.Unpack(packet)
	if len(packet) < 12 || answer.Id != question.Id || !answer.Response {
		return nil, errStray
	}
	if err != nil && !answer.Truncated {
		return nil, fmt.Errorf("reading answer: %w", err)
	}
	if len(answer.Question) == 0 && answer.Rcode == dns.RcodeFormatError {
		return answer, nil // some old servers send back the bare header when they do not know EDNS
	}
	if len(answer.Question) != 1 {
		return nil, errStray
	}
	asked, got := question.Question[0], answer.Question[0]
	if asked.Qtype != got.Qtype || asked.Qclass != got.Qclass || !strings.EqualFold(asked.Name, got.Name) {
		return nil, errStray
	}
	return answer, nil
}

// unroutable recognises a dial that failed before anything was sent.
func unroutable(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EAFNOSUPPORT) ||
		errors.Is(err, syscall.EADDRNOTAVAIL)
}

// ask brings one answer: UDP, UDP again after silence, then TCP; TCP at once after truncation or a broken packet.
func ask(ctx context.Context, x Exchanger, server netip.AddrPort, name string, qtype uint16, recurse bool) (*dns.Msg, error) {
	question := new(dns.Msg)
	question.SetQuestion(canonical(name), qtype)
	question.RecursionDesired = recurse
	question.SetEdns0(ednsSize, false)
	answer, err := askOnce(ctx, x, "udp", server, question)
	if silent(err) && ctx.Err() == nil {
		answer, err = askOnce(ctx, x, "udp", server, question)
	}
	if errors.Is(err, errNoRoute) || ctx.Err() != nil {
		return nil, err
	}
	if err == nil && !answer.Truncated {
		return answer, nil
	}
	if answer, err = askOnce(ctx, x, "tcp", server, question); err == nil && answer.Truncated {
		return nil, errors.New("answer is truncated over TCP")
	}
	return answer, err
}

// askOnce asks again without EDNS when the server does not know it (RFC 6891 §7).
func askOnce(ctx context.Context, x Exchanger, network string, server netip.AddrPort, question *dns.Msg) (*dns.Msg, error) {
	question.Id = dns.Id()
	answer, err := x.Exchange(ctx, network, server, question)
	if err == nil && answer.Rcode == dns.RcodeFormatError && len(question.Extra) > 0 {
		question.Extra = nil
		question.Id = dns.Id()
		answer, err = x.Exchange(ctx, network, server, question)
	}
	return answer, err
}

func silent(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}
