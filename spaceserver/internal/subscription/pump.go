package subscription

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"odcm/octopus"
	"odcm/spaceserver/internal/audit"
	"odcm/spaceserver/internal/configuration"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/permission"
)

// mostEvents bounds a batch.
const mostEvents = 100

// passed is how many events a subscription may pass over before that is written down: a restart looks at them again.
const passed = 1000

// pump posts the events of one subscription.
type pump struct {
	engine   *Engine
	space    string
	id       string
	revision int64
	document octopus.Object
	hook     octopus.Object
	timeout  time.Duration

	woken  chan struct{}
	cancel context.CancelFunc
	done   chan struct{}

	at    cursor
	saved int64 // the event that is written down
	tries int   // how often the next event was refused
}

func newPump(e *Engine, row document.Row, o octopus.Object) *pump {
	hook := o.Object("EventNotificationSubscription")
	timeout, err := duration(hook.Text("WebhookTimeout"))
	if err != nil {
		timeout = 10 * time.Second
	}
	return &pump{engine: e, space: row.Space, id: row.ID, revision: row.Revision, document: o, hook: hook, timeout: timeout, woken: make(chan struct{}, 1), done: make(chan struct{})}
}

// run posts what there is, and sleeps until there may be more.
func (p *pump) run(ctx context.Context) {
	pause := retry
	for ctx.Err() == nil {
		more, err := p.batch(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			p.engine.Logger.WarnContext(ctx, "a webhook could not be posted", "subscription", p.id, "next", pause, "error", err)
			wait(ctx, pause/2+rand.N(pause/2))
			pause = min(2*pause, retryMax)
		case more:
			pause = retry
		default:
			pause = retry
			select {
			case <-ctx.Done():
			case <-p.woken:
				wait(ctx, gather)
			}
		}
	}
}

// begin reads where the subscription stands.
func (p *pump) begin(ctx context.Context) error {
	store := p.engine.Service.Store
	name := cursorOf(p.space, p.id)
	text, err := store.Setting(ctx, store.DB.Read(), name)
	if err != nil {
		return err
	}
	if text == "" { // from before this server posted: it begins now
		err := store.Tx(ctx, func(tx *sql.Tx) error {
			last, err := store.Counter(ctx, tx, "events")
			if err == nil {
				text, err = store.SetOnce(ctx, tx, name, cursor{event: last}.text())
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	p.at, err = readCursor(text)
	p.saved = p.at.event
	return err
}

// batch posts one batch, and tells whether there may be more.
func (p *pump) batch(ctx context.Context) (more bool, err error) {
	if p.at == (cursor{}) {
		if err := p.begin(ctx); err != nil {
			return false, err
		}
	}
	store := p.engine.Service.Store
	last, err := store.Counter(ctx, store.DB.Read(), "events")
	if err != nil || last <= p.at.event {
		return false, err
	}
	q, err := p.query(ctx)
	if err != nil {
		return false, err
	}
	q.FromID, q.ToID, q.Take, q.OldestFirst = p.at.event+1, last, mostEvents, true
	events, _, err := store.Events(ctx, store.DB.Read(), q)
	if err != nil {
		return false, err
	}
	end := last
	if more = len(events) == mostEvents; more {
		end = events[len(events)-1].AutoID
	}
	matching, err := p.matching(ctx, events)
	if err != nil {
		return false, err
	}
	if err := p.postAll(ctx, matching); err != nil {
		return false, errors.Join(err, p.save(context.WithoutCancel(ctx), false))
	}
	p.at.event = end
	return more, p.save(context.WithoutCancel(ctx), len(matching) == 0 && end-p.saved < passed)
}

// postAll posts the events of a batch in their order. What was posted is not posted again when one fails.
func (p *pump) postAll(ctx context.Context, events []document.Event) error {
	if len(events) == 0 {
		return nil
	}
	server, err := p.server(ctx)
	if err != nil {
		return err
	}
	batch, at := uuid.NewString(), p.engine.Now().UTC()
	for i, event := range events {
		err := p.post(ctx, payload{
			Timestamp: p.engine.Now().UTC(), EventType: "SubscriptionPayload",
			Payload: content{ServerURI: server, ServerAuditURI: server + "/app/audit", BatchProcessingDate: at, Subscription: p.shown(), BatchID: batch,
				TotalEventsInBatch: len(events), EventNumberInBatch: i + 1, Event: audit.Show(event)},
		})
		var refused *refusal
		if errors.As(err, &refused) && refused.final() {
			if p.tries++; p.tries < finalTries {
				return err
			}
			p.engine.Logger.ErrorContext(ctx, "a webhook refused an event, which is not sent again", "subscription", p.id, "event", audit.ID(event.AutoID), "error", err)
		} else if err != nil {
			return err
		}
		p.tries, p.at = 0, cursor{event.AutoID, p.engine.Now()}
	}
	return nil
}

// save writes down where the subscription stands; lazily where only events were passed over. It makes no row: the
// subscription may be gone.
func (p *pump) save(ctx context.Context, lazily bool) error {
	if lazily || p.at.event == p.saved {
		return nil
	}
	err := p.engine.Service.Store.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE spaceserver_setting SET value = $1 WHERE name = $2", p.at.text(), cursorOf(p.space, p.id))
		return err
	})
	if err == nil {
		p.saved = p.at.event
	}
	return err
}

// query is what of the filter the database can ask.
func (p *pump) query(ctx context.Context) (document.EventQuery, error) {
	filter := p.hook.Object("Filter")
	q := document.EventQuery{Spaces: []string{p.space}, Users: some(filter.Texts("Users")), Categories: watched(filter)}
	for _, name := range []string{"Projects", "Environments", "Tenants"} {
		if ids := filter.Texts(name); len(ids) > 0 {
			q.Any = append(q.Any, ids)
		}
	}
	for _, name := range filter.Texts("DocumentTypes") {
		if k := p.engine.Service.Kind(name); k != nil { // ids of document types are names of kinds
			name = k.Type
		}
		q.Types = append(q.Types, name)
	}
	for _, related := range []struct{ member, kind, in string }{{"ProjectGroups", "Projects", "ProjectGroupId"}, {"Tags", "Tenants", "TenantTags"}} {
		wanted := filter.Texts(related.member)
		if len(wanted) == 0 {
			continue
		}
		ids := append([]string{"nothing"}, wanted...)
		for row, err := range p.engine.Service.Store.Each(ctx, p.engine.Service.Store.DB.Read(), document.Query{Kind: related.kind, Spaces: []string{p.space}}) {
			if err != nil {
				return q, err
			}
			o, err := octopus.ParseObject(row.Body)
			if err != nil {
				return q, err
			}
			has := append(o.Texts(related.in), o.Text(related.in))
			if slices.ContainsFunc(wanted, func(w string) bool { return slices.Contains(has, w) }) {
				ids = append(ids, row.ID)
			}
		}
		q.Any = append(q.Any, ids)
	}
	return q, nil
}

func some(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

// matching keeps the events that the rest of the filter asks for and that the subscription's teams may see.
func (p *pump) matching(ctx context.Context, events []document.Event) ([]document.Event, error) {
	agents, teams := p.hook.Object("Filter").Texts("EventAgents"), p.hook.Texts("WebhookTeams")
	var set *permission.Set
	if len(teams) > 0 {
		var err error
		if set, err = p.engine.Identity.TeamSet(ctx, teams); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(events, func(event document.Event) bool {
		if set != nil && !audit.Visible(set, event) {
			return true
		}
		if len(agents) == 0 {
			return false
		}
		body, _ := octopus.ParseObject(event.Body) // it was written by us
		return !slices.Contains(agents, audit.AgentOf(body.Text("IdentityEstablishedWith")))
	}), nil
}

// payload is what is posted.
type payload struct {
	Timestamp time.Time
	EventType string
	Payload   content
}

type content struct {
	ServerURI           string `json:"ServerUri"`
	ServerAuditURI      string `json:"ServerAuditUri"`
	BatchProcessingDate time.Time
	Subscription        octopus.Object
	BatchID             string `json:"BatchId"`
	TotalEventsInBatch  int
	EventNumberInBatch  int
	Event               octopus.Object
}

// shown is the subscription without the value of its header, which the receiver gets as a header.
func (p *pump) shown() octopus.Object {
	o, hook := p.document.Clone(), p.hook.Clone()
	hook.Set("WebhookHeaderValue", nil)
	o.Set("EventNotificationSubscription", hook)
	return o
}

// server is the address of this server that people configured, or the one that it knows of.
func (p *pump) server(ctx context.Context) (string, error) {
	store := p.engine.Service.Store
	text, err := store.Setting(ctx, store.DB.Read(), configuration.Setting("serverconfiguration"))
	if err != nil {
		return "", err
	}
	if o, err := octopus.ParseObject([]byte(text)); text != "" && err == nil && o.Text("ServerUri") != "" {
		return strings.TrimSuffix(o.Text("ServerUri"), "/"), nil
	}
	return p.engine.URL(), nil
}

// refusal is an answer that is not one of success.
type refusal struct{ status int }

func (r *refusal) Error() string {
	return fmt.Sprintf("the receiver answered with status %d", r.status)
}

// finalTries is how often an event is sent that the receiver calls wrong.
const finalTries = 5

// final tells whether the receiver said that the request is wrong, and not that it cannot take it now.
func (r *refusal) final() bool {
	return r.status >= 400 && r.status < 500 && r.status != http.StatusRequestTimeout && r.status != http.StatusTooEarly && r.status != http.StatusTooManyRequests &&
		r.status != http.StatusUnauthorized && r.status != http.StatusForbidden && r.status != http.StatusNotFound // those are mended at the receiver
}

// post sends one event.
func (p *pump) post(ctx context.Context, v payload) error {
	select {
	case p.engine.posts <- struct{}{}:
		defer func() { <-p.engine.posts }()
	case <-ctx.Done():
		return ctx.Err()
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	client, err := p.engine.Client()
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(bounded, http.MethodPost, p.hook.Text("WebhookURI"), bytes.NewReader(text))
	if err != nil {
		return errors.New("the subscription's address is not readable") // the error would repeat it, with what secrets it holds
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "ODCM-Space-server")
	if key := p.hook.Text("WebhookHeaderKey"); key != "" {
		r.Header.Set(key, p.hook.Text("WebhookHeaderValue"))
	}
	answer, err := client.Do(r)
	if err != nil {
		return bare(err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return &refusal{answer.StatusCode}
	}
	return nil
}

// bare is the error of a request without its address, in which people put secrets.
func bare(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || !strings.Contains(err.Error(), "://") {
			return err
		}
		err = inner
	}
}
