package metrics

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

var words = Words{AccountStates: []string{"listed", "done"}, DomainStates: []string{"open", "closed"}, Verdicts: []string{"here", "unknown"}}

// everything is a view in which nothing is zero, and counters of which each has counted something.
func everything() (*Counters, View) {
	c := NewCounters()
	c.Login("example.org", "imap.old.example", "no", "wrong")
	c.GuardStop("imap.old.example", "source")
	c.Verification("imap.old.example", "wrong", 300*time.Millisecond)
	c.PassBegun("example.org")
	c.PassEnded("example.org", "complete", 3*time.Second)
	c.Copied("example.org", 7, 700)
	return c, View{Version: "1.2", Waiting: 3, Running: 2, Passes: 4, Milter: Milter{Recorded: 10, Late: 1, Missed: 2, Refused: 3},
		Sources: []Source{{"imap.old.example", 3, 4, true, true}}, Readable: true, Due: 6, Lag: 90 * time.Second,
		Domains: []Domain{{Name: "example.org", State: "open", Source: "imap.old.example", Doubted: true, Accounts: map[string]int{"listed": 5},
			Paused: 1, Stuck: 2, PassedOn: 11, Held: 12, Noticed: 13, Refused: 8, Parked: 9, MX: "here", Holdouts: 1, CheckedAt: time.Unix(1_800_000_000, 0)}}}
}

func scrape(t *testing.T, c *Counters, v View) map[string]*dto.MetricFamily {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler := Handler(c, words, func(context.Context) View { return v }, func(err error) { t.Error(err) })
	request := httptest.NewRequest("GET", "/metrics", nil)
	request.Header.Set("Accept", "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2") // as Prometheus asks
	handler.ServeHTTP(recorder, request)
	if kind := recorder.Header().Get("Content-Type"); recorder.Code == 200 && !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
		t.Errorf("the answer is of type %q", kind)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(recorder.Body)
	if err != nil || recorder.Code != 200 {
		t.Fatalf("status %d: %v", recorder.Code, err)
	}
	return families
}

// value is that of the metric with all these labels.
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	for _, m := range families[name].GetMetric() {
		var has []string
		for _, l := range m.GetLabel() {
			has = append(has, l.GetName()+"="+l.GetValue())
		}
		if strings.Join(has, " ") == strings.Join(labels, " ") {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	t.Errorf("there is no %s{%s}", name, strings.Join(labels, " "))
	return -1
}

func TestEveryMetricSaysWhatTheViewAndTheCountersSay(t *testing.T) {
	counters, view := everything()
	families := scrape(t, counters, view)
	told := map[string]bool{"build_info": true}
	for _, c := range []struct {
		name   string
		want   float64
		labels string
	}{
		{"logins_total", 1, "answer=no domain=example.org source=imap.old.example why=wrong"},
		{"guard_stops_total", 1, "limit=source source=imap.old.example"},
		{"verification_seconds", 1, "result=wrong source=imap.old.example"},
		{"passes_begun_total", 1, "domain=example.org"},
		{"passes_ended_total", 1, "domain=example.org result=complete"},
		{"pass_seconds", 1, "result=complete"},
		{"copied_messages_total", 7, "domain=example.org"},
		{"copied_bytes_total", 700, "domain=example.org"},
		{"database_readable", 1, ""},
		{"verifications", 3, "phase=waiting"},
		{"verifications", 2, "phase=running"},
		{"source_failed_logins", 3, "source=imap.old.example"},
		{"source_failed_logins_allowed", 4, "source=imap.old.example"},
		{"source_breaker_open", 1, "source=imap.old.example"},
		{"source_paused", 1, "source=imap.old.example"},
		{"passes_running", 4, ""},
		{"passes_due", 6, ""},
		{"pass_lag_seconds", 90, ""},
		{"milter_letters_total", 10, "result=recorded"},
		{"milter_letters_total", 2, "result=missed"},
		{"milter_late_total", 1, ""},
		{"milter_connections_refused_total", 3, ""},
		{"accounts", 5, "domain=example.org state=listed"},
		{"accounts", 0, "domain=example.org state=done"},
		{"accounts_paused", 1, "domain=example.org"},
		{"accounts_stuck", 2, "domain=example.org"},
		{"accounts_passed_on", 11, "domain=example.org"},
		{"accounts_held", 12, "domain=example.org"},
		{"accounts_noticed", 13, "domain=example.org"},
		{"messages_refused", 8, "domain=example.org"},
		{"messages_parked", 9, "domain=example.org"},
		{"source_doubted", 1, "domain=example.org source=imap.old.example"},
		{"domain_state", 1, "domain=example.org state=open"},
		{"domain_state", 0, "domain=example.org state=closed"},
		{"domain_mx", 1, "domain=example.org verdict=here"},
		{"domain_mx", 0, "domain=example.org verdict=unknown"},
		{"domain_dns_holdouts", 1, "domain=example.org"},
		{"domain_dns_checked_timestamp_seconds", 1_800_000_000, "domain=example.org"},
	} {
		if got := value(t, families, "mailstork_"+c.name, strings.Fields(c.labels)...); got != c.want {
			t.Errorf("%s{%s} is %v, want %v", c.name, c.labels, got, c.want)
		}
		told[c.name] = true
	}
	for name := range families {
		if ours, is := strings.CutPrefix(name, "mailstork_"); is && !told[ours] {
			t.Errorf("%s is not tested", name)
		}
	}
	if families["mailstork_build_info"] == nil || families["process_open_fds"] == nil || families["go_goroutines"] == nil {
		t.Error("build, process or Go metrics are missing")
	}
}

func TestNamesAndHelpAreAsPrometheusWantsThem(t *testing.T) {
	c, v := everything()
	recorder := httptest.NewRecorder()
	Handler(c, words, func(context.Context) View { return v }, func(err error) { t.Error(err) }).ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	problems, err := promlint.New(strings.NewReader(recorder.Body.String())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestWithoutTheDatabaseTheRestIsStillTold(t *testing.T) {
	c, v := everything()
	v.Readable = false
	families := scrape(t, c, v)
	if got := value(t, families, "mailstork_database_readable"); got != 0 {
		t.Errorf("the database is readable: %v", got)
	}
	for name, want := range map[string]bool{"mailstork_accounts": false, "mailstork_passes_due": false, "mailstork_logins_total": true, "mailstork_source_breaker_open": true} {
		if _, got := families[name]; got != want {
			t.Errorf("%s is there: %v, want %v", name, got, want)
		}
	}
}

func TestAnAnswerThatCanNotBeWrittenIsNoHalfAnswer(t *testing.T) {
	c, v := everything()
	v.Domains = append(v.Domains, v.Domains[0]) // the same metric twice
	recorder := httptest.NewRecorder()
	var told error
	Handler(c, words, func(context.Context) View { return v }, func(err error) { told = err }).ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(recorder.Body)
	if told == nil || recorder.Code != 500 || err != nil || strings.Contains(string(body), "mailstork_") {
		t.Errorf("status %d, told %v, answer:\n%s", recorder.Code, told, fmt.Sprintf("%.200s", body))
	}
}
