package view

import (
	"io"
	"time"

	tea "charm.land/bubbletea/v2"

	"dormouse/sim"
)

// Screen is a View that fills a terminal. It has a goroutine of its own.
type Screen struct {
	program *tea.Program
	ended   chan error
}

// Keys are what a person may do about a run. The functions are called from the
// screen's goroutine and must not block.
type Keys struct {
	Quit  func()     // end it
	Pause func(bool) // stop its time, or let it go on; nil: it cannot be stopped
}

// NewScreen returns a View that fills the terminal out, and hears keys from in;
// nil: there are none.
func NewScreen(in io.Reader, out io.Writer, a *About, k Keys) *Screen {
	return newScreen(a, k, tea.WithInput(in), tea.WithOutput(out))
}

func newScreen(a *About, k Keys, with ...tea.ProgramOption) *Screen {
	s := &Screen{ended: make(chan error, 1)}
	with = append(with, tea.WithoutSignalHandler(), tea.WithFPS(framesPerSecond))
	s.program = tea.NewProgram(&model{about: a, keys: k}, with...)
	go func() {
		_, err := s.program.Run()
		s.ended <- err
	}()
	return s
}

// Samples come a few times a second at most.
const framesPerSecond = 20

// Show has the screen show s soon.
func (s *Screen) Show(stats *sim.Stats, now time.Time) { s.program.Send(sample{stats, now}) }

// Close leaves the terminal as it was.
func (s *Screen) Close() error {
	s.program.Quit()
	return <-s.ended
}

// A sample is what Show was told.
type sample struct {
	*sim.Stats
	now time.Time
}

// A model is what the screen shows.
type model struct {
	about         *About
	keys          Keys
	width, height int

	last, before *sample
	first        *sample   // since time goes on without a pause
	reports      []float64 // received a second, the latest last: as many as a line may have
	paused       bool
	ending       bool
	help         bool
}

// trail is how many rates are remembered.
const trail = 200

// Init asks for nothing: samples come by themselves.
func (m *model) Init() tea.Cmd { return nil }

// Update takes in a sample, a key or the size of the terminal.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case sample:
		m.take(&msg)
	case tea.KeyPressMsg:
		m.press(msg.String())
	}
	return m, nil
}

func (m *model) take(s *sample) {
	if m.first == nil && !m.paused {
		m.first = s
	}
	m.before, m.last = m.last, s
	if m.before == nil || s.At <= m.before.At {
		return
	}
	m.reports = append(m.reports, since(s.Stats, m.before.Stats).received)
	if len(m.reports) > trail {
		m.reports = append(m.reports[:0], m.reports[len(m.reports)-trail:]...)
	}
}

func (m *model) press(key string) {
	switch key {
	case "q", "ctrl+c":
		if !m.ending {
			m.ending = true
			m.keys.Quit()
		}
	case "space":
		if m.keys.Pause != nil && !m.ending {
			m.paused, m.first = !m.paused, nil
			m.keys.Pause(m.paused)
		}
	case "?", "h":
		m.help = !m.help
	case "esc":
		m.help = false
	}
}

// left guesses how long the run still takes by the wall clock; ok is false
// while that would be a wild guess.
func (m *model) left() (d time.Duration, ok bool) {
	rest := max(0, m.about.whole()-m.last.At)
	if !m.about.Virtual {
		return rest, true
	}
	const early = 0.01
	pace, ok := m.pace()
	if !ok || progress(m.last.Stats, m.about) < early {
		return 0, false
	}
	return time.Duration(float64(rest) / pace), true
}

// pace is how much faster than the clock virtual time goes; ok is false until
// it has gone for a while.
func (m *model) pace() (times float64, ok bool) {
	if m.first == nil {
		return 0, false
	}
	const while = time.Second
	spent, gone := m.last.now.Sub(m.first.now), m.last.At-m.first.At
	return float64(gone) / float64(spent), m.about.Virtual && spent >= while && gone > 0
}

// View draws all of it.
func (m *model) View() tea.View {
	v := tea.NewView(m.draw())
	v.AltScreen = true
	v.WindowTitle = "dormouse sim " + m.about.Plan.Name
	return v
}
