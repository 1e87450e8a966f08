package dnscheck

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
)

// Options say whom to ask. The zero value asks the system's resolvers for the parent zone's servers.
type Options struct {
	// Resolvers are recursive resolvers that find the parent zone's servers and other names' addresses. Each of them
	// must answer: what they say is united, so that one that lies can only add servers. Empty means /etc/resolv.conf,
	// unless Parents or Authoritative is given.
	Resolvers []netip.AddrPort
	// PublicResolvers are asked what caches still say; they never make a verdict better.
	PublicResolvers []netip.AddrPort
	// Parents are asked for the delegation instead of what the resolvers name: root servers, or a laboratory's.
	Parents []netip.AddrPort
	// Authoritative replaces the whole way down for private networks: exactly these are asked.
	Authoritative []Server
	// Port is where servers that were learnt from DNS listen; 53 unless a laboratory says otherwise.
	Port uint16
	// QueryTimeout bounds one try of one question (default 2 s), Deadline the whole check (default 45 s).
	QueryTimeout time.Duration
	Deadline     time.Duration
	// Exchanger replaces the network.
	Exchanger Exchanger
}

// Server is an authoritative server that was configured, not learnt. Name may be empty.
type Server struct {
	Name    string
	Address netip.AddrPort
}

// parallel caps the questions under way at once.
const parallel = 16

// Checker asks DNS about domains. It keeps nothing between checks and may be used from several goroutines.
type Checker struct{ options Options }

// New fills in the defaults. It fails only when there is nobody to ask.
func New(o Options) (*Checker, error) {
	if o.Port == 0 {
		o.Port = 53
	}
	if o.QueryTimeout <= 0 {
		o.QueryTimeout = 2 * time.Second
	}
	if o.Deadline <= 0 {
		o.Deadline = 45 * time.Second
	}
	if o.Exchanger == nil {
		o.Exchanger = wire{timeout: o.QueryTimeout}
	}
	if len(o.Resolvers)+len(o.Parents)+len(o.Authoritative) == 0 {
		resolvers, err := systemResolvers("/etc/resolv.conf")
		if err != nil {
			return nil, err
		}
		o.Resolvers = resolvers
	}
	return &Checker{options: o}, nil
}

func systemResolvers(file string) ([]netip.AddrPort, error) {
	conf, err := dns.ClientConfigFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading resolvers from %s: %w", file, err)
	}
	var found []netip.AddrPort
	for _, server := range conf.Servers {
		if addr, err := netip.ParseAddr(server); err == nil {
			found = append(found, netip.AddrPortFrom(addr, 53))
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("reading resolvers from %s: it names none", file)
	}
	return found, nil
}

// run is one check under way.
type run struct {
	*Checker
	domain  string   // canonical
	ours    []string // MX hosts that are ours, plain
	expect  Expect
	zone    string           // canonical; empty until found
	talking []netip.AddrPort // authoritative addresses that gave definite answers
	report  *Report
	doubts  []string // sentences that forbid the verdict Here

	mu    sync.Mutex
	known map[dns.Question]lookup
}

// Check looks at one domain. It always returns a report: what could not be learnt stands in it as unknown.
func (c *Checker) Check(ctx context.Context, q Question) Report {
	ctx, cancel := context.WithTimeout(ctx, c.options.Deadline)
	defer cancel()
	report := Report{Domain: plain(q.Domain), CheckedAt: time.Now().UTC(), MX: Unknown,
		Holdouts: []string{}, Nameservers: []string{}, Servers: []ServerAnswer{}, Caches: []CacheAnswer{},
		SPF:    SPF{Records: []string{}, Checks: []SPFCheck{}},
		Errors: []Finding{}, Warnings: []Finding{}, Publish: []Record{}, Remove: []Record{}}
	r := &run{Checker: c, domain: canonical(q.Domain), expect: q.Expect, report: &report, known: map[dns.Question]lookup{}}
	for _, host := range q.Expect.MXHosts {
		r.ours = append(r.ours, plain(host))
	}
	if err := validDomain(report.Domain); err != nil {
		r.doubt("domain_invalid", err.Error())
	} else {
		r.look(ctx)
	}
	r.judge()
	report.Sentence = sentence(report)
	return report
}

func (r *run) look(ctx context.Context) {
	if len(r.ours) == 0 {
		r.doubt("expect_empty", "no MX host of this server is configured: there is nothing to compare with")
	}
	r.askServers(ctx, r.findServers(ctx))
	if len(r.options.Authoritative) == 0 {
		r.askServers(ctx, r.zonesOwnServers(ctx))
	}
	r.skipUnroutable()
	r.askCaches(ctx)
	r.inspectAnswers()
	r.inspectHosts(ctx)
	r.publishMX()
	r.inspectSPF(ctx)
}

func validDomain(domain string) error {
	for _, c := range []byte(domain) {
		if c <= ' ' || c > '~' || c == '\\' || c == '"' || c == '(' || c == ')' || c == ';' || c == '@' {
			return fmt.Errorf("%q is not a domain name (write international names in their xn-- form)", domain)
		}
	}
	if _, ok := dns.IsDomainName(domain); !ok || domain == "" || domain == "." {
		return fmt.Errorf("%q is not a domain name", domain)
	}
	return nil
}

// doubt notes an error that keeps the verdict from being Here.
func (r *run) doubt(code, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.doubts, text) {
		r.doubts = append(r.doubts, text)
		r.report.Errors = append(r.report.Errors, Finding{code, text})
	}
}

func (r *run) fail(code, format string, args ...any) {
	r.report.Errors = append(r.report.Errors, Finding{code, fmt.Sprintf(format, args...)})
}

func (r *run) warn(code, format string, args ...any) {
	r.report.Warnings = append(r.report.Warnings, Finding{code, fmt.Sprintf(format, args...)})
}

// each runs do for 0..n-1 with bounded parallelism and waits for all.
func each(n int, do func(i int)) {
	var group errgroup.Group
	group.SetLimit(parallel)
	for i := range n {
		group.Go(func() error { do(i); return nil })
	}
	_ = group.Wait() // do returns no error
}

// judge sums up the servers. Here needs every server of every address and no doubt (C1).
func (r *run) judge() {
	var verdicts []Verdict
	r.report.Complete = len(r.doubts) == 0 && len(r.report.Servers) > 0
	for _, s := range r.report.Servers {
		if s.Skipped {
			continue
		}
		r.report.Complete = r.report.Complete && s.Problem == ""
		verdicts = append(verdicts, s.MX)
		if s.MX == Here {
			continue
		}
		r.report.Holdouts = append(r.report.Holdouts, holdout(s))
		r.report.OldTTLSeconds = max(r.report.OldTTLSeconds, s.TTLSeconds)
	}
	if len(r.doubts) > 0 {
		verdicts = append(verdicts, Unknown)
		r.report.Holdouts = append(r.report.Holdouts, r.doubts...)
	}
	r.report.MX = sumUp(verdicts)
	var cached []Verdict
	for _, c := range r.report.Caches {
		cached = append(cached, c.MX)
	}
	if len(cached) > 0 {
		r.report.CachesMX = sumUp(cached)
	}
	slices.Sort(r.report.Nameservers)
}

// label is how a server is called in sentences: by its name, and its address when that adds something.
func (s ServerAnswer) label() string {
	if s.Name == s.Address || s.Address == "" {
		return s.Name
	}
	return s.Name + " (" + s.Address + ")"
}

func holdout(s ServerAnswer) string {
	switch {
	case s.Problem != "":
		return s.label() + " " + s.Problem
	case s.null:
		return s.label() + " says that the domain takes no mail (null MX)"
	case len(s.Records) == 0:
		return s.label() + " has no MX"
	case s.MX == Mixed:
		return s.label() + " names both old and new MX: " + hostsOf(s.Records)
	}
	return s.label() + " still answers the old MX " + hostsOf(s.Records)
}

// sentence is the report in one line.
func sentence(r Report) string {
	why := strings.Join(first(r.Holdouts, 2), "; ")
	if why == "" {
		why = "no server answered"
	}
	switch r.MX {
	case Here:
		return fmt.Sprintf("mail comes here: %s", agreeing(len(r.Nameservers)))
	case Elsewhere:
		return "mail does not come here yet: " + why
	case Mixed:
		return "old and new answers side by side: " + why
	}
	return "not known: " + why
}

func agreeing(n int) string {
	if n == 1 {
		return "the authoritative server names this server"
	}
	return fmt.Sprintf("%d of %d authoritative servers agree", n, n)
}

func first(all []string, n int) []string {
	if len(all) <= n {
		return all
	}
	return append(slices.Clone(all[:n]), fmt.Sprintf("and %d more", len(all)-n))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
