package daemon

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"mailstork/authhook"
	"mailstork/daemon/account"
	"mailstork/daemon/config"
	"mailstork/daemon/schedule"
	"mailstork/daemon/secret"
)

// scraped is one answer to Prometheus.
func (d *Daemon) scraped(t *testing.T) (text string, families map[string]*dto.MetricFamily) {
	t.Helper()
	recorder := httptest.NewRecorder()
	d.metricsHandler().ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	text = recorder.Body.String()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	must(t, err)
	return text, families
}

// down is a source that nobody listens at.
func down(t *testing.T) account.Source {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	return account.Source{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, TLS: account.TLSNone}
}

func TestNoMetricHoldsAnAddressOrAPassword(t *testing.T) { // S1
	d, _ := newDaemon(t, "source: {allow_private_addresses: true}\nhook: {least_refusal_milliseconds: 1}\n")
	must(t, d.buildMilter(t.Context()))
	of := d.addDomain(t, down(t), account.Open)
	a := d.addAccount(t, of, anna, account.Following)
	d.addAccount(t, of, carla, account.Copying)
	d.addAccount(t, of, "dora@"+domain, account.Copying)
	must(t, d.store.Write(t.Context(), func(tx *sql.Tx) error {
		_, err1 := tx.ExecContext(t.Context(), `UPDATE account SET route = 'source' WHERE address = $1`, carla)
		_, err2 := tx.ExecContext(t.Context(), `UPDATE account SET route = 'notice' WHERE address = $1`, "dora@"+domain)
		return errors.Join(err1, err2)
	}))
	must(t, d.store.SetStuck(t.Context(), anna, "c4nary reason", "c4nary hint"))
	for i, user := range []string{string(anna), string(anna), string(anna), string(anna), string(bob), "c4nary@c4nary.example", "c4nary", "anna+c4nary@" + domain, "anna@c4nary." + domain} {
		d.hook.Decide(t.Context(), authhook.Attempt{User: user, Password: secret.FromString(fmt.Sprintf("c4nary %d", i)), Service: "c4nary"})
	}
	d.runPass(t.Context(), schedule.Lease{}, a)
	text, families := d.scraped(t)
	for _, secret := range []string{"@", "c4nary", "anna", "bob", "carla", "dora"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in the metrics:\n%s", secret, text)
		}
	}
	for _, want := range []string{
		`mailstork_logins_total{answer="try_later",domain="example.org",source="127.0.0.1",why="source"} 3`,
		`mailstork_logins_total{answer="try_later",domain="example.org",source="127.0.0.1",why="guard"} 1`,
		`mailstork_logins_total{answer="not_ours",domain="",source="",why="unknown_domain"} 2`,
		`mailstork_logins_total{answer="not_ours",domain="",source="",why="no_address"} 1`,
		`mailstork_guard_stops_total{limit="breaker",source="127.0.0.1"} 1`,
		`mailstork_verification_seconds_count{result="unclear",source="127.0.0.1"} 3`,
		`mailstork_source_breaker_open{source="127.0.0.1"} 1`,
		`mailstork_passes_begun_total{domain="example.org"} 1`,
		`mailstork_passes_ended_total{domain="example.org",result="failed"} 1`,
		`mailstork_accounts{domain="example.org",state="following"} 1`,
		`mailstork_accounts_stuck{domain="example.org"} 1`,
		`mailstork_accounts_passed_on{domain="example.org"} 1`,
		`mailstork_accounts_held{domain="example.org"} 0`,
		`mailstork_accounts_noticed{domain="example.org"} 1`,
		`mailstork_domain_state{domain="example.org",state="open"} 1`,
		`mailstork_database_readable 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	if len(families) < 30 {
		t.Errorf("only %d kinds of metrics", len(families))
	}
}

func TestMetricsGoOnWithoutTheDatabase(t *testing.T) {
	d, log := newDaemon(t, "")
	must(t, d.buildMilter(t.Context()))
	must(t, d.store.Close())
	text, _ := d.scraped(t)
	if !strings.Contains(text, "mailstork_database_readable 0\n") || strings.Contains(text, "mailstork_passes_due") || !strings.Contains(log.String(), "counting due accounts") {
		t.Errorf("log:\n%s\nmetrics:\n%s", log, text)
	}
}

func TestMetricsTokenIsMadeOnceForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	first, err := openToken("metrics token", path)
	must(t, err)
	second, err := openToken("metrics token", path)
	must(t, err, shareToken(path, ""))
	info, err := os.Stat(path)
	must(t, err)
	if !first.Equal(second) || len(first.Reveal()) < 20 || info.Mode() != 0o600 {
		t.Errorf("%d octets, the same again: %v, mode %v", len(first.Reveal()), first.Equal(second), info.Mode())
	}
	if os.Geteuid() == 0 {
		must(t, shareToken(path, "root"))
		if info, err = os.Stat(path); err != nil || info.Mode() != 0o640 {
			t.Errorf("shared with a group its mode is %v (%v)", info.Mode(), err)
		}
	}
	must(t, os.WriteFile(path, []byte("\n"), 0o600))
	if _, err := openToken("metrics token", path); err == nil {
		t.Error("an empty token was taken")
	}
	if c := config.Default(); c.Metrics.Socket+c.Metrics.Listen != "" {
		t.Error("metrics have doors of their own though nobody asked for them")
	}
}
