package metrics

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

// Handler answers whoever asks with all metrics. look is called once for each question, and must return within a few
// seconds; report is told what could not be written.
func Handler(counters *Counters, words Words, look func(context.Context) View, report func(error)) http.Handler {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(counters.all()...)
	registry.MustRegister(viewed{words, look}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	format := expfmt.NewFormat(expfmt.TypeTextPlain) // what every reader takes
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		text, err := written(registry, format)
		if err != nil {
			report(err)
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", string(format))
		_, _ = w.Write(text) // who asked has gone: nobody is left to tell
	})
}

// written is everything or nothing: half an answer would look like a restart.
func written(from prometheus.Gatherer, format expfmt.Format) ([]byte, error) {
	families, err := from.Gather()
	if err != nil {
		return nil, fmt.Errorf("gathering metrics: %w", err)
	}
	var text bytes.Buffer
	encoder := expfmt.NewEncoder(&text, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return nil, fmt.Errorf("writing metric %s: %w", family.GetName(), err)
		}
	}
	return text.Bytes(), nil
}
