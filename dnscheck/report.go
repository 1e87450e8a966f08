package dnscheck

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Question is one domain and what its DNS should say after the cutover.
type Question struct {
	Domain string
	Expect Expect
}

// Expect is this server as the world should see it.
type Expect struct {
	MXHosts           []string     // names that the MX shall point to
	OutgoingAddresses []netip.Addr // addresses that send the domain's mail; SPF is evaluated for each
}

// Verdict says where answers send the domain's mail.
type Verdict string

// The verdicts. Only Here is agreement; Unknown never is (C1).
const (
	Here      Verdict = "here"      // every answer names us and nobody else
	Elsewhere Verdict = "elsewhere" // every answer that came names others only
	Mixed     Verdict = "mixed"     // old and new stand side by side, in one answer or between servers
	Unknown   Verdict = "unknown"   // at least one server gave no usable answer and the others say Here
)

// Report is what one check saw. Every list in it is capped.
type Report struct {
	Domain    string    `json:"domain"`
	Zone      string    `json:"zone"` // the zone that holds the domain's records; empty when it was not found
	CheckedAt time.Time `json:"checked_at"`
	MX        Verdict   `json:"mx"`
	// Complete is true when every server gave a definite answer and nothing is in doubt.
	Complete bool `json:"complete"`
	// Sentence is the verdict in words, without the domain.
	Sentence string `json:"sentence"`
	// Holdouts names, in words, each server that keeps MX from being Here.
	Holdouts []string `json:"holdouts"`
	// OldTTLSeconds is the longest TTL of an authoritative answer that does not send mail here. What caches report is
	// only the rest of one and would make a wait too short.
	OldTTLSeconds uint32 `json:"old_ttl_seconds"`
	// Nameservers is the zone's NS set, the parent's and its own united, sorted.
	Nameservers []string `json:"nameservers"`
	// DelegationTTLSeconds is how long a cache may go on asking the servers that are named today.
	DelegationTTLSeconds uint32         `json:"delegation_ttl_seconds"`
	Servers              []ServerAnswer `json:"servers"`
	// CachesMX sums up the public resolvers; empty when none is configured.
	CachesMX Verdict       `json:"caches_mx,omitempty"`
	Caches   []CacheAnswer `json:"caches"`
	SPF      SPF           `json:"spf"`
	Errors   []Finding     `json:"errors"`
	Warnings []Finding     `json:"warnings"`
	// Publish lists the records as they should stand, unchanged TXT records included; Remove those that must go.
	Publish []Record `json:"publish"`
	Remove  []Record `json:"remove"`
}

// ServerAnswer is what one address of one authoritative server said.
type ServerAnswer struct {
	Name    string   `json:"name"`
	Address string   `json:"address"`
	MX      Verdict  `json:"mx"`
	Records []MX     `json:"mx_records"`
	SPF     []string `json:"spf_records"`
	Serial  uint32   `json:"serial"`
	// Problem is why MX is Unknown; empty otherwise.
	Problem string `json:"problem,omitempty"`
	// Skipped is true for an address that this machine has no route to while the server answered at another one.
	Skipped bool `json:"skipped,omitempty"`
	// TTLSeconds is how long a cache may keep this answer, also one that says there is no MX.
	TTLSeconds uint32 `json:"ttl_seconds"`

	null    bool     // RFC 7505
	txt     []string // every TXT record, raw bytes
	txtTTL  uint32
	txtErr  error
	ns      []string
	nsTTL   uint32
	soaName string
}

// CacheAnswer is what one public resolver still says.
type CacheAnswer struct {
	Resolver            string  `json:"resolver"`
	MX                  Verdict `json:"mx"`
	Records             []MX    `json:"mx_records"`
	RemainingTTLSeconds uint32  `json:"remaining_ttl_seconds"`
	Problem             string  `json:"problem,omitempty"`
}

// MX is one mail exchanger as published.
type MX struct {
	Host       string `json:"host"` // lower case, without the final dot; "." for a null MX
	Preference uint16 `json:"preference"`
	TTLSeconds uint32 `json:"ttl_seconds"`
}

// SPF is the domain's sender policy and what it says of our addresses.
type SPF struct {
	Records []string   `json:"records"` // the distinct v=spf1 records seen
	Checks  []SPFCheck `json:"checks"`
}

// SPFCheck is the evaluation of one outgoing address (RFC 7208 §2.6).
type SPFCheck struct {
	Address string `json:"address"`
	Result  string `json:"result"` // pass, fail, softfail, neutral, none, temperror, permerror
	Detail  string `json:"detail,omitempty"`
	// Servers names the authoritative servers whose record was evaluated; servers may disagree.
	Servers []string `json:"servers"`
}

// Finding is one thing that is wrong, in one sentence, with a stable code for programs.
type Finding struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// Record is one line of a zone file.
type Record struct {
	Name       string `json:"name"`
	TTLSeconds uint32 `json:"ttl_seconds"`
	Type       string `json:"type"`
	Data       string `json:"data"`
	// Keep marks a record that stands already and must not be lost when the others are entered.
	Keep bool `json:"keep"`
}

// Line is the record as a zone file has it.
func (r Record) Line() string {
	return fmt.Sprintf("%s\t%d\tIN\t%s\t%s", r.Name, r.TTLSeconds, r.Type, r.Data)
}

// verdictOf compares one MX set with the hosts that are ours.
func verdictOf(records []MX, ours []string) Verdict {
	var here, elsewhere bool
	for _, mx := range records {
		if contains(ours, mx.Host) {
			here = true
		} else {
			elsewhere = true
		}
	}
	switch {
	case here && elsewhere:
		return Mixed
	case here:
		return Here
	}
	// No MX at all is a definite answer too: mail goes to the domain's own address (RFC 5321 §5.1), not to us.
	return Elsewhere
}

// sumUp unites verdicts. Unknown hides behind a definite disagreement, never behind agreement.
func sumUp(verdicts []Verdict) Verdict {
	count := map[Verdict]int{}
	for _, v := range verdicts {
		count[v]++
	}
	switch {
	case count[Mixed] > 0, count[Here] > 0 && count[Elsewhere] > 0:
		return Mixed
	case count[Elsewhere] > 0:
		return Elsewhere
	case count[Unknown] > 0, count[Here] == 0:
		return Unknown
	}
	return Here
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// plain is a name as people write it: lower case, no final dot.
func plain(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(canonical(name), ".")
}

func hostsOf(records []MX) string {
	if len(records) == 0 {
		return "no MX"
	}
	var names []string
	for _, mx := range records {
		names = append(names, mx.Host)
	}
	return strings.Join(names, ", ")
}
