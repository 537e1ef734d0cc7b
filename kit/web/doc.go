// Package web is what pages and REST handlers stand on: sign-in check, errors, security, the frame of a page, the REST
// API, and fragments that change in open pages. Components are in package design.
//
// # A page
//
//	site.AddNav(web.NavItem{ID: "spaces", Label: "Spaces", Icon: "layers", Href: "/spaces", Order: 10})
//	site.Handle("GET /spaces/{id}", func(w http.ResponseWriter, r *http.Request) error {
//		sp, err := spaces.Get(r.Context(), web.Principal(r.Context()), odcm.SpaceID(r.PathValue("id")))
//		if err != nil {
//			return err // a page by its kind: 404, 403, …; problem+json to a program
//		}
//		return site.Render(w, r, http.StatusOK, web.Page{
//			Title: sp.Name, Nav: "spaces", Crumbs: []design.Crumb{{"Spaces", "/spaces"}}, Body: spacePage(sp),
//		})
//	})
//
// At the roof: site := [New]; rooms add to it; site.Start makes tables and begins to push; site serves as an http.Handler;
// site.Stop before http.Server.Shutdown, or streams keep it waiting. http.Server.WriteTimeout must be 0 or streams end.
//
// Page.Notice ("2 offline") stands before the title in the browser's tab and changes the icon there; it follows as regions
// do. A NavItem that is PaletteOnly is found in the command palette and nowhere else: what one does rather than where one
// is.
//
// # A form
//
// [design.Form] is sent by the page's script. Its handler returns an error or calls [Redirect]; the script shows
// odcm.Error.Fields beside the fields of the same name and the message above the form. For browsers without script a
// handler may draw the form again instead, with [Fields] and [StatusOf]:
//
//	site.Handle("POST /spaces", func(w http.ResponseWriter, r *http.Request) error {
//		sp, err := spaces.Create(r.Context(), web.Principal(r.Context()), r.PostFormValue("name"))
//		if err != nil {
//			return err
//		}
//		site.Flash(w, r, "success", "Space "+sp.Name+" is being created.")
//		web.Redirect(w, r, "/spaces/"+string(sp.ID))
//		return nil
//	})
//
// Forms need no token and no hidden field: requests that change something and come from another site's page are refused by their headers.
//
// # A REST operation
//
// Use [Register], not huma.Register: it answers odcm errors by their kind.
//
//	web.Register(site.API(), huma.Operation{OperationID: "get-space", Method: "GET", Path: "/spaces/{id}", Summary: "Get a Space", Tags: []string{"Spaces"}},
//		func(ctx context.Context, in *struct{ ID string `path:"id"` }) (*struct{ ETag string `header:"ETag"`; Body api.Space }, error) { … })
//
// The path is below /api/v1. Operations need a principal (bearer API key or session) unless Security is [Public]. [ETag],
// [IfMatch] and [OrStale] do revisions, [Cursor] and [ReadCursor] do pages; Idempotency-Key on POST works by itself.
//
// # What changes by itself
//
//	site.Live().Fragment("space", func(ctx context.Context, id string) (templ.Component, error) { … return spaceTile(sp), nil }, mayEnter)
//
// The component's root, the same in page and fragment, carries data-live="space/ID" (design.Tile and design.Row take it
// as Live and topic). bus.Publish("space/"+id) then redraws it once and replaces it in every open page. A second view of the same
// thing is a second fragment, "space.header", on data-live="space.header/ID", redrawn by the same topic. A list as a
// whole is an element with an id and data-live-region="space task/ID event": when any of these topics (or a noun's any)
// is published, the script reads the page again and puts that element in place (design.CardProps: ID and Region).
//
// What is made from many things, a count or an order, is a fragment with a noun of its own, whose identifier says what of
// them it shows; whoever keeps the count calls site.Live().Redraw("board") when it has become another. Links inside of
// data-soft that lead to the same page put only what is different in place.
//
// A Page that is Full has the whole of a dark screen to itself; data-clock is a clock there, data-stale-since says since when
// the stream is broken, and data-next with data-every leads on.
//
// # Components
//
// Package design, all templ components:
//
//	Button(ButtonProps)           button, link, opener of a dialog; kinds primary, "", quiet, danger
//	Icon(name)                    see design.Icons, the gallery shows them
//	Card(CardProps)               titled box; Flush for tables; Region to refresh itself
//	Columns() Stack() Narrow() Toolbar()   layout of children
//	Section(title)                a part of a page without a box
//	Disclosure(label, open)       folds away what few people need
//	Tiles() Tile(TileProps)       the board of Spaces
//	Headline(state, since, reason)   how a thing is doing, in large
//	Status(state) StatusDot       pill with icon and word: online draining degraded offline maintenance unknown creating queued running succeeded failed canceled
//	Badge(tone, text)             word in a pill; tones neutral info success warning danger accent
//	Table(caption, []Column) Row(topic) Cell(label) NumberCell(label) ActionCell()
//	CompactTable(caption, []Column)   stays a table on a phone
//	Filters(action)               a form of one row above a list, found as one types
//	Pager(first, next, text)      Search(action, value, placeholder)  Chips(label, []Chip)  Tabs([]Tab) (or Page.Tabs)
//	Form(FormProps) Input Textarea Select(Field, []Option) Checkbox Switch(Field, on) Radios Checks(Field, []Option)
//	Wizard(steps, at)             numbered steps of a form
//	Steps([]Step) Progress(percent, doing) Log(name, []LogLine)   a task
//	ConfirmDialog(Confirm)        opened by ButtonProps.Dialog; may want a word typed
//	Menu(label, icon)             links and buttons behind a button
//	Facts([]Fact) Number(label, value, detail) Meter(label, value, limit, text)
//	Code(text) Secret(label, text)   with a copy button
//	Sparkline(points, label) History([]Sample, label)
//	Proportion([]Part) Heat(states, shape, label)   how many of a whole are how; one cell for each
//	Segmented(label, []Tab) Fold(label, href, open, total, []Part)   ways to look; a part that its address folds away
//	Empty(icon, title, text) Callout(tone, title) Skeleton(lines) Toast(tone, text) Time(t)
//
// Addresses that come from outside go through templ.URL, which refuses javascript:; templ.SafeURL trusts them blindly.
// [Allow] adds a source to the Content-Security-Policy of one answer, [Site.AcceptCrossSite] lets another site's page post to
// a route, [Site.AcceptLarge] lets a route take large bodies, [Site.Mount] serves a foreign handler.
//
// The Content-Security-Policy forbids style attributes, inline styles and inline scripts: use the components, or add to
// asset/design.css.
package web
