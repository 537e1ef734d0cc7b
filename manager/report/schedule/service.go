package schedule

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"odcm"
	"odcm/kit/mail"
	"odcm/manager/report/summary"
)

// What schedules need: everybody who may manage some manages his own, and who may do everything everybody's.
const (
	ActionManage    odcm.Action = "report-schedule.manage"
	ActionManageAll odcm.Action = "report-schedule.manage-all"
)

// Store keeps schedules. A method that takes an event commits it in the transaction of its change.
type Store interface {
	// Create refuses with odcm.Conflict "report.too-many-schedules" where the owner has most already.
	Create(ctx context.Context, s Schedule, most int, e odcm.Event) error
	// Update changes all but identifier, owner and Created where the revision is the one that is given.
	Update(ctx context.Context, s Schedule, e odcm.Event) error
	Delete(ctx context.Context, id string, revision int64, e odcm.Event) error
	// Get returns odcm.NotFound "report.schedule-not-found" where there is none.
	Get(ctx context.Context, id string) (Schedule, error)
	// List lists those of the owner, all where it is "", by name, after the name and identifier of the last one.
	List(ctx context.Context, owner odcm.UserID, after Position, limit int) ([]Schedule, error)
	// Due lists those that are not paused and due by now, the longest due first.
	Due(ctx context.Context, now time.Time, limit int) ([]Schedule, error)
	// Sent notes a sending, puts its messages into the outbox and sets when it is due next, all or nothing, and returns false
	// where the period was sent before or the schedule is not as it was read.
	Sent(ctx context.Context, s Schedule, sending Sending, next time.Time, messages []mail.Message, until time.Time, e odcm.Event) (bool, error)
	Sendings(ctx context.Context, id string, limit int) ([]Sending, error)
}

// Position is a place in the list.
type Position struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

// Reports makes reports.
type Reports interface {
	Allowed(ctx context.Context, p odcm.Principal) []summary.Sort
	Report(ctx context.Context, p odcm.Principal, name string, r summary.Request) (*summary.Report, error)
}

// People tells who somebody is now.
type People interface {
	// Principal returns somebody as he would be signed in; NotFound where he is not known, Denied where he is disabled.
	Principal(ctx context.Context, id odcm.UserID) (odcm.Principal, error)
}

// Post tells whether mail can be sent.
type Post interface{ Ready() bool }

// Options are what a [Service] needs. All but Logger and Now are required.
type Options struct {
	Store      Store
	Reports    Reports
	People     People
	Post       Post
	Authorizer odcm.Authorizer
	PublicURL  func() string
	Leases     Leases
	Replica    string
	Logger     *slog.Logger
	Now        func() time.Time
}

// Service is the door.
type Service struct{ o Options }

// New makes the service. It sends nothing until [Service.Run].
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{o}
}

func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

// Ready tells whether mail can be sent here.
func (s *Service) Ready() bool { return s.o.Post.Ready() }

// Allowed tells whether the principal may have schedules.
func (s *Service) Allowed(ctx context.Context, p odcm.Principal) bool {
	return s.o.Authorizer.Authorize(ctx, p, ActionManage, "") == nil
}

func (s *Service) all(ctx context.Context, p odcm.Principal) bool {
	return s.o.Authorizer.Authorize(ctx, p, ActionManageAll, "") == nil
}

// names are the reports that somebody may be sent.
func (s *Service) names(ctx context.Context, p odcm.Principal) (names []string) {
	for _, k := range s.o.Reports.Allowed(ctx, p) {
		names = append(names, k.Name)
	}
	return names
}

// Create keeps a plan.
func (s *Service) Create(ctx context.Context, p odcm.Principal, plan Plan) (_ Schedule, err error) {
	defer odcm.Wrap(&err, "create schedule")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionManage, ""); err != nil {
		return Schedule{}, err
	}
	if plan, err = plan.check(s.names(ctx, p), s.now()); err != nil {
		return Schedule{}, err
	}
	made := Schedule{Plan: plan, ID: odcm.NewID[string]("schedule"), Owner: p.User, OwnerIs: p.Name, Created: s.now(), Due: plan.Next(s.now()), Revision: 1}
	return made, s.o.Store.Create(ctx, made, mostOf, odcm.NewEvent(p, "report.scheduled", made.ID, made.Name, nil, told(plan)))
}

// told is what an event says of a plan.
func told(p Plan) map[string]any {
	return map[string]any{"report": p.Report, "query": p.Query, "every": p.Every, "day": p.Day, "at": fmt.Sprintf("%02d:%02d", p.Hour, p.Minute), "zone": p.Zone, "to": p.To}
}

// Get returns a schedule that the principal may see.
func (s *Service) Get(ctx context.Context, p odcm.Principal, id string) (_ Schedule, err error) {
	defer odcm.Wrap(&err, "schedule %s", id)
	if err := s.o.Authorizer.Authorize(ctx, p, ActionManage, id); err != nil {
		return Schedule{}, err
	}
	found, err := s.o.Store.Get(ctx, id)
	if err == nil && found.Owner != p.User && !s.all(ctx, p) {
		return Schedule{}, NotFound()
	}
	return found, err
}

// NotFound is what is said where there is no such schedule.
func NotFound() error {
	return odcm.E(odcm.NotFound, "report.schedule-not-found", "There is no such schedule.")
}

// List lists the principal's schedules, everybody's for those who may manage all.
func (s *Service) List(ctx context.Context, p odcm.Principal, after Position, limit int) (_ []Schedule, err error) {
	defer odcm.Wrap(&err, "list schedules")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionManage, ""); err != nil {
		return nil, err
	}
	owner := p.User
	if s.all(ctx, p) {
		owner = ""
	}
	return s.o.Store.List(ctx, owner, after, limit)
}

// Update replaces a schedule's plan. Its mails go on showing what its owner may see.
func (s *Service) Update(ctx context.Context, p odcm.Principal, id string, revision int64, plan Plan) (_ Schedule, err error) {
	found, err := s.Get(ctx, p, id)
	if err != nil {
		return found, err
	}
	defer odcm.Wrap(&err, "change schedule %s", id)
	if plan, err = plan.check(s.names(ctx, p), s.now()); err != nil {
		return found, err
	}
	was := found.Plan
	found.Plan, found.Due = plan, plan.Next(s.now())
	return s.update(ctx, found, revision, odcm.NewEvent(p, "report.schedule-changed", id, plan.Name, told(was), told(plan)))
}

func (s *Service) update(ctx context.Context, changed Schedule, revision int64, e odcm.Event) (Schedule, error) {
	if revision == 0 {
		revision = changed.Revision
	}
	changed.Revision = revision
	if err := s.o.Store.Update(ctx, changed, e); err != nil {
		return Schedule{}, err
	}
	changed.Revision++
	return changed, nil
}

// Pause stops or resumes a schedule. What was due in between is not made up for.
func (s *Service) Pause(ctx context.Context, p odcm.Principal, id string, paused bool) (_ Schedule, err error) {
	found, err := s.Get(ctx, p, id)
	if err != nil || found.Paused == paused {
		return found, err
	}
	found.Paused, found.Reason, found.Due = paused, "", found.Next(s.now())
	typ := "report.schedule-paused"
	if !paused {
		typ = "report.schedule-resumed"
	}
	return s.update(ctx, found, 0, odcm.NewEvent(p, typ, id, found.Name, nil, nil))
}

// Delete forgets a schedule.
func (s *Service) Delete(ctx context.Context, p odcm.Principal, id string) error {
	found, err := s.Get(ctx, p, id)
	if err != nil {
		return err
	}
	return s.o.Store.Delete(ctx, id, found.Revision, odcm.NewEvent(p, "report.schedule-deleted", id, found.Name, told(found.Plan), nil))
}

// Sendings lists what was sent, the newest first.
func (s *Service) Sendings(ctx context.Context, p odcm.Principal, id string, limit int) ([]Sending, error) {
	if _, err := s.Get(ctx, p, id); err != nil {
		return nil, err
	}
	return s.o.Store.Sendings(ctx, id, max(1, min(limit, 500)))
}

// SendNow sends a schedule's report at once, beside when it is due.
func (s *Service) SendNow(ctx context.Context, p odcm.Principal, id string) (Sending, error) {
	found, err := s.Get(ctx, p, id)
	if err != nil {
		return Sending{}, err
	}
	if !s.Ready() {
		return Sending{}, odcm.E(odcm.Unavailable, "mail.not-set-up", "No mail server is set up here.")
	}
	sending := Sending{Schedule: id, Period: "now-" + odcm.NewID[string]("sending"), At: s.now(), To: len(found.To)}
	messages, err := s.write(ctx, found)
	if err != nil {
		return sending, err
	}
	done, err := s.o.Store.Sent(ctx, found, sending, found.Due, messages, s.now().Add(keepTrying), odcm.NewEvent(p, "report.sent", id, found.Name, nil, map[string]any{"to": found.To}))
	if err == nil && !done {
		err = odcm.E(odcm.Conflict, "report.schedule-changed", "The schedule was changed at the same time. Try again.")
	}
	return sending, err
}

// owns tells whether the report is still among those that its owner may read.
func (s *Service) owns(ctx context.Context, p odcm.Principal, name string) bool {
	return slices.Contains(s.names(ctx, p), name)
}
