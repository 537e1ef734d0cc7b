package audithttp

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"odcm"
	"odcm/kit/web"
)

// formats are the media types of an export (RFC 4180; JSON lines has none that is registered).
var formats = map[string]string{"csv": "text/csv; charset=utf-8; header=present", "jsonl": "application/x-ndjson"}

const (
	flushEvery = 500              // events
	patience   = 30 * time.Second // for a client that does not take them
)

// export streams: however long the log, little of it is in memory. What goes wrong before the first byte is answered as
// a problem; afterwards the connection is cut, so that half a file is never taken for the whole.
func (h *handler) export(ctx context.Context, in *exportInput) (*huma.StreamResponse, error) {
	events, err := h.service.Export(ctx, web.Principal(ctx), in.log())
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		_, w := humago.Unwrap(c)
		w.Header().Set("Content-Type", formats[in.Format])
		w.Header().Set("Content-Disposition", `attachment; filename="odcm-audit-`+h.now().UTC().Format("2006-01-02")+`.`+in.Format+`"`)
		w.Header().Set("Cache-Control", "no-store")
		control := http.NewResponseController(w)
		out := newWriter(in.Format, w)
		n := 0
		for e, err := range events {
			if err == nil {
				err = out.write(e)
			}
			if n++; err == nil && n%flushEvery == 0 {
				_ = control.SetWriteDeadline(time.Now().Add(patience)) // where the connection has deadlines
				err = out.flush()
			}
			if err != nil {
				panic(http.ErrAbortHandler)
			}
		}
		if err := out.flush(); err != nil {
			panic(http.ErrAbortHandler)
		}
	}}, nil
}

// writer writes events in a format.
type writer interface {
	write(e odcm.Event) error
	flush() error
}

func newWriter(format string, w io.Writer) writer {
	if format == "jsonl" {
		b := bufio.NewWriter(w)
		return &jsonLines{b, json.NewEncoder(b)}
	}
	c := csv.NewWriter(w)
	_ = c.Write([]string{"id", "time", "type", "subject", "name", "actor", "by", "via", "address", "before", "after"}) // flush tells
	return &cells{c}
}

type jsonLines struct {
	b *bufio.Writer
	e *json.Encoder
}

func (j *jsonLines) write(e odcm.Event) error { return j.e.Encode(toAPI(e)) }
func (j *jsonLines) flush() error             { return j.b.Flush() }

type cells struct{ w *csv.Writer }

func (c *cells) write(e odcm.Event) error {
	row := []string{strconv.FormatInt(int64(e.ID), 10), e.Time.UTC().Format(time.RFC3339Nano), e.Type, e.Subject, e.Name, string(e.Actor),
		e.By, e.Via, e.Address, string(e.Before), string(e.After)}
	for i := range row {
		row[i] = guard(row[i])
	}
	return c.w.Write(row)
}

func (c *cells) flush() error {
	c.w.Flush()
	return c.w.Error()
}

// guard puts an apostrophe before what a spreadsheet would run as a formula: names in the log are other people's words.
// The signs are OWASP's ("CSV Injection"), with their full-width forms, which some spreadsheets read alike.
func guard(cell string) string {
	if strings.TrimLeft(cell, "=+-@\t\r\n＝＋－＠") != cell {
		return "'" + cell
	}
	return cell
}
