package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// A Result is one phase of one tool, as the harness wrote it. Wall and CPU are seconds, Resident is MiB of the largest
// process, Flights how often the client had to wait for the source (nil where no relay counted).
type Result struct {
	Tool     string  `json:"tool"`
	Corpus   string  `json:"corpus"`
	Phase    string  `json:"phase"` // initial, noop or delta
	RTT      int     `json:"rtt"`   // ms
	Wall     float64 `json:"wall"`
	CPU      float64 `json:"cpu"`
	Resident float64 `json:"rss_mib"`
	Flights  *int    `json:"turns"`
	Code     int     `json:"rc"`
	Timeout  bool    `json:"timeout"`
	Verify   *struct {
		OK bool `json:"ok"`
	} `json:"verify"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: bench RESULTS")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(path string, w io.Writer) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	results, err := read(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	writeMedians(w, results)
	fmt.Fprintln(w)
	writeWanted(w, results)
	return differs(results)
}

func read(r io.Reader) (results []Result, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var one Result
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(results)+1, err)
		}
		results = append(results, one)
	}
	return results, lines.Err()
}

// differs is an error when mailstork failed or what it copied is not what the source has.
func differs(results []Result) error {
	for _, r := range results {
		if r.Tool == ours && (r.Code != 0 || r.Timeout || (r.Verify != nil && !r.Verify.OK)) {
			return fmt.Errorf("%s of %s at %d ms: exit code %d, and the comparer found the two sides different or could not look", r.Phase, r.Corpus, r.RTT, r.Code)
		}
	}
	return nil
}
