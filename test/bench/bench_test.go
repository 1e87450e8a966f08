package main

import (
	"fmt"
	"strings"
	"testing"
)

func lines(t *testing.T, text string) []Result {
	t.Helper()
	results, err := read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func first(tool string, wall float64) string {
	return fmt.Sprintf(`{"tool":%q,"corpus":"many100k","rtt":0,"phase":"initial","wall":%v,"cpu":7,"rss_mib":54.5,"rc":0,"verify":{"ok":true}}`+"\n", tool, wall)
}

func TestRatiosAreThoseOfMedians(t *testing.T) {
	results := lines(t, first("mailstork", 90)+first("doveadm-pf", 60)+first("mailstork", 40)+first("doveadm-pf", 61)+first("mailstork", 30)+first("doveadm-pf", 10))
	s := wish{corpus: "many100k", phase: "initial", figure: wall, than: doveadm, times: true, limit: 1.5}
	if value, ok := s.measure(results); !ok || value != 1.5 || !s.met(value) {
		t.Errorf("60 ÷ 40 s is %v (run: %v)", value, ok)
	}
	var out strings.Builder
	writeWanted(&out, results)
	for _, want := range []string{
		"| many100k | 0 ms | initial | doveadm-pf ÷ ours | ≥ 1.5 | 1.50 | met |",
		"| many100k | 0 ms | initial | resident MiB | ≤ 64 | 54.50 | met |",
		"| many100k | 0 ms | initial | ours ÷ pump | ≤ 1.25 | | not run |",
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("no line %q in\n%s", want, out.String())
		}
	}
}

func TestAFigureBeyondItsLimitIsShort(t *testing.T) {
	var out strings.Builder
	writeWanted(&out, lines(t, first("mailstork", 50)+first("doveadm-pf", 60)+first("pump", 30)))
	for _, want := range []string{"doveadm-pf ÷ ours | ≥ 1.5 | 1.20 | SHORT", "ours ÷ pump | ≤ 1.25 | 1.67 | SHORT"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestADifferentMailboxIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"comparer": strings.Replace(first("mailstork", 1), "true", "false", 1),
		"exit":     strings.Replace(first("mailstork", 1), `"rc":0`, `"rc":3`, 1),
	} {
		if differs(lines(t, text)) == nil {
			t.Errorf("%s: nothing said", name)
		}
	}
	if err := differs(lines(t, first("mailstork", 1)+strings.Replace(first("mbsync", 1), "true", "false", 1))); err != nil {
		t.Errorf("another tool's mailbox: %v", err)
	}
}
