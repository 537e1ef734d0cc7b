package monitorhttp

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"odcm"
	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/monitor"
)

// statuses answers with bytes that are made once for all who ask: what changed is encoded, and the rest taken as it was.
type statuses struct {
	service *monitor.Service

	mu    sync.Mutex
	board *monitor.Board // of which answer is made
	made  *answer
	parts map[odcm.SpaceID]*part
	order []*part // of the last answer
}

// part is one Space of the answer.
type part struct {
	id     odcm.SpaceID
	health monitor.Health // without details
	text   []byte
}

// of makes it what the health says.
func (p *part) of(h monitor.Health) (err error) {
	if p.text != nil && p.health.Status == h.Status && p.health.Reason == h.Reason && p.health.Since.Equal(h.Since) {
		return nil
	}
	p.health = h
	p.text, err = json.Marshal(api.SpaceStatus{Space: string(p.id), Status: word(h.Status), Reason: h.Reason, Since: h.Since})
	return err
}

// answer is the whole of it.
type answer struct {
	text []byte
	etag string

	once  sync.Once
	small []byte // compressed, once somebody wants that
}

type statusesInput struct {
	IfNoneMatch    string `header:"If-None-Match" doc:"The ETag of the answer that you have: 304 where it is still the same"`
	AcceptEncoding string `header:"Accept-Encoding" doc:"gzip compresses the answer"`
}

func (s *statuses) list(ctx context.Context, in *statusesInput) (*huma.StreamResponse, error) {
	board, err := s.service.Statuses(ctx, web.Principal(ctx))
	if err != nil {
		return nil, err
	}
	a, err := s.answer(board)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		_, w := humago.Unwrap(c)
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "private, no-cache")
		h.Set("Vary", "Accept-Encoding, Authorization, Cookie")
		h.Set("ETag", a.etag)
		if matches(in.IfNoneMatch, a.etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		body := a.text
		if takesGzip(in.AcceptEncoding) {
			h.Set("Content-Encoding", "gzip")
			body = a.compressed()
		}
		_, _ = w.Write(body) // the client is gone if it fails
	}}, nil
}

// answer encodes the board. One that everybody sees comes again as it is while nothing changes; that of somebody who sees a part
// shares the parts.
func (s *statuses) answer(board *monitor.Board) (*answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.board == board {
		return s.made, nil
	}
	if !s.follow(board.Spaces) {
		s.arrange(board.Spaces)
	}
	var b bytes.Buffer
	if s.made != nil {
		b.Grow(len(s.made.text) + 1024)
	}
	b.WriteString(`{"items":[`)
	for i, p := range s.order {
		if err := p.of(board.Spaces[p.id]); err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(p.text)
	}
	b.WriteString(`]}`)
	sum := sha256.Sum256(b.Bytes())
	s.board, s.made = board, &answer{text: b.Bytes(), etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	return s.made, nil
}

func (a *answer) compressed() []byte {
	a.once.Do(func() {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
		_, _ = z.Write(a.text) // a buffer takes everything
		_ = z.Close()
		a.small = b.Bytes()
	})
	return a.small
}

// follow tells whether the order of the last answer is that of the board.
func (s *statuses) follow(spaces map[odcm.SpaceID]monitor.Health) bool {
	if len(s.order) != len(spaces) {
		return false
	}
	for _, p := range s.order {
		if _, ok := spaces[p.id]; !ok {
			return false
		}
	}
	return true
}

// arrange puts the parts in the order of their identifiers.
func (s *statuses) arrange(spaces map[odcm.SpaceID]monitor.Health) {
	if s.parts == nil || len(s.parts) > 2*len(spaces)+1000 { // most of them are gone
		s.parts = map[odcm.SpaceID]*part{}
	}
	s.order = make([]*part, 0, len(spaces))
	for _, id := range slices.Sorted(maps.Keys(spaces)) {
		p, ok := s.parts[id]
		if !ok {
			p = &part{id: id}
			s.parts[id] = p
		}
		s.order = append(s.order, p)
	}
}

// matches compares entity tags weakly (RFC 9110, section 13.1.2).
func matches(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag || tag == "*" {
			return true
		}
	}
	return false
}

// takesGzip reads Accept-Encoding (RFC 9110, section 12.5.3).
func takesGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if name == "gzip" {
			return strings.Trim(cmp.Or(strings.TrimPrefix(strings.TrimSpace(weight), "q="), "1"), "0.") != ""
		}
	}
	return false
}
