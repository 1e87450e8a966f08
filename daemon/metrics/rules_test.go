package metrics

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const rulesFile = "../../packaging/prometheus/mailstork.rules.yml"

var metricName = regexp.MustCompile(`mailstork_[a-z_]+`)

func TestSampleAlertsAskForMetricsThatExist(t *testing.T) {
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil || len(file.Groups) != 1 {
		t.Fatalf("%d groups, %v", len(file.Groups), err)
	}
	counters, view := everything()
	families := scrape(t, counters, view)
	var alerts []string
	for _, rule := range file.Groups[0].Rules {
		alerts = append(alerts, rule.Alert)
		names := metricName.FindAllString(rule.Expr, -1)
		for _, name := range names {
			if families[name] == nil {
				t.Errorf("%s asks for %s, which does not exist", rule.Alert, name)
			}
		}
		if len(names) == 0 || rule.For == "" || rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" {
			t.Errorf("the rule %s is not whole: %+v", rule.Alert, rule)
		}
		if strings.Count(rule.Expr, "(") != strings.Count(rule.Expr, ")") || strings.Count(rule.Expr, "{") != strings.Count(rule.Expr, "}") {
			t.Errorf("%s: brackets in %s", rule.Alert, rule.Expr)
		}
	}
	operations, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, alert := range alerts {
		if !strings.Contains(string(operations), "| "+alert+" |") {
			t.Errorf("docs/operations.md does not explain %s", alert)
		}
	}
	if len(alerts) < 3 || len(slices.Compact(slices.Sorted(slices.Values(alerts)))) != len(alerts) {
		t.Errorf("alerts: %v", alerts)
	}
}
