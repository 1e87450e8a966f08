package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"mailstork/daemon/control"
	"mailstork/test/corpus"
	"mailstork/test/site"
	"mailstork/test/testbed"
)

// A whole daemon is asked in the three ways; all say the same.
func TestPrometheusReadsWhatTheDaemonDid(t *testing.T) {
	port, err := testbed.FreePort()
	must(t, err)
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	socket := filepath.Join(t.TempDir(), "metrics.sock")
	s := start(t, func(o *site.Options) {
		o.Config = map[string]map[string]any{"metrics": {"listen": listen, "socket": socket}}
	})
	must(t, corpus.Seed(s.Source, anna, annaPass, corpus.Small()))
	login(t, s, anna, annaPass)
	if c, err := s.Dest.Login(bob, "c4nary wrong"); err == nil {
		_ = c.Close()
		t.Error("a wrong password was accepted")
	}
	waitState(t, s, anna, "following")
	passes(t, s, anna, 1)
	token, err := os.ReadFile(filepath.Join(s.StateDir, "metrics-token"))
	must(t, err)
	client := control.NewClient(socket)
	defer client.Close()
	for name, ask := range map[string]func() (string, error){
		"mailstork status --metrics": func() (string, error) { return s.CLI("status", "--metrics") },
		"TCP with the token":         func() (string, error) { return askTCP(listen, string(token)) },
		"Unix socket":                func() (string, error) { text, err := client.Metrics(t.Context()); return string(text), err },
	} {
		t.Run(name, func(t *testing.T) {
			text, err := ask()
			must(t, err)
			wantMetrics(t, text)
		})
	}
	if text, err := askTCP(listen, "wrong"); err == nil {
		t.Errorf("without the token the answer was:\n%s", text)
	}
}

func askTCP(address, token string) (string, error) {
	request, err := http.NewRequest("GET", "http://"+address+"/metrics", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	asking := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := asking.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		err = errors.Join(err, errors.New(answer.Status))
	}
	return string(text), err
}

func wantMetrics(t *testing.T, text string) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	must(t, err)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, secret := range []string{"@", "c4nary", annaPass, "anna", "bob"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in the metrics", secret)
		}
	}
	for name, want := range map[string]float64{
		"mailstork_logins_total answer=yes why=proven":     1,
		"mailstork_logins_total answer=no why=wrong":       1,
		"mailstork_verification_seconds result=proven":     1,
		"mailstork_source_failed_logins source=localhost":  2, // with the look at the source
		"mailstork_accounts state=following":               1,
		"mailstork_domain_state state=open":                1,
		"mailstork_copied_messages_total domain=" + domain: float64(corpus.Small().Messages()),
		"mailstork_database_readable":                      1,
		"mailstork_source_breaker_open source=localhost":   0,
		"mailstork_messages_refused domain=" + domain:      0,
		"mailstork_accounts_stuck domain=" + domain:        0,
		"mailstork_passes_ended_total result=failed":       0,
		"mailstork_milter_letters_total result=recorded":   0,
		"mailstork_source_doubted source=localhost":        0,
		"mailstork_guard_stops_total limit=source":         0,
		"mailstork_passes_ended_total result=interrupted":  0,
		"mailstork_verification_seconds result=unclear":    0,
	} {
		if got := sum(families, strings.Fields(name)); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if got := sum(families, []string{"mailstork_passes_ended_total", "result=complete"}); got < 2 {
		t.Errorf("%v passes ended well, want two or more", got)
	}
	if t.Failed() {
		t.Log(text)
	}
}

// sum adds up the metrics of a family that have all the labels.
func sum(families map[string]*dto.MetricFamily, name []string) (total float64) {
	for _, m := range families[name[0]].GetMetric() {
		has := map[string]bool{}
		for _, l := range m.GetLabel() {
			has[l.GetName()+"="+l.GetValue()] = true
		}
		all := true
		for _, label := range name[1:] {
			all = all && has[label]
		}
		if all {
			total += m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return total
}
