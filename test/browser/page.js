// The page of a browser that is a phone, with stock JsSIP: what the check asks it to do, it does and tells.
const INTERVAL_S = 1; // The shortest JsSIP waits before it connects again.

class BrowserPhone {
  #ua;
  #domain;
  #socket;
  #session;
  #heard = [];
  #events = [];

  constructor() {
    const phone = this;
    const { WebSocket } = globalThis;
    // To cut the connection as a network does, behind the library's back.
    globalThis.WebSocket = class extends WebSocket {
      constructor(...options) {
        super(...options);
        phone.#socket = this;
      }
    };
  }

  /** Answers how its registration ended: 200, or the status of the refusal. */
  register({ name, password, port, domain }) {
    this.#domain = domain;
    this.#ua = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(`ws://127.0.0.1:${port}`)],
      uri: `sip:${name}@${domain}`,
      password,
      connection_recovery_min_interval: INTERVAL_S,
      connection_recovery_max_interval: INTERVAL_S,
    });
    this.#ua.on('newRTCSession', ({ originator, session }) => {
      if (originator === 'remote') this.#take(session);
    });
    this.#ua.on('newMessage', ({ originator, request }) => {
      if (originator === 'remote') this.#heard.push(request.body);
    });
    const settled = this.#registration();
    this.#ua.start();
    return settled;
  }

  /** Loses its connection; answers how the registration by the next one ended. */
  reconnect() {
    const settled = this.#registration();
    this.#socket.close();
    return settled;
  }

  /** Answers 200 when the other side has taken the call, or the status of its refusal. */
  call(user) {
    return new Promise(resolve => {
      const session = this.#ua.call(`sip:${user}@${this.#domain}`, {
        ...MEDIA,
        eventHandlers: {
          confirmed: () => resolve(200),
          failed: ({ message }) => resolve(message?.status_code ?? 0),
        },
      });
      this.#follow(session);
    });
  }

  /** Holds the call or resumes it; answers whether the other side agreed. */
  hold(held) {
    return new Promise(resolve => {
      const asked = this.#session[held ? 'hold' : 'unhold']({}, () => resolve(true));
      if (!asked) resolve(false);
    });
  }

  hangUp() {
    this.#session.terminate();
  }

  message(user, text) {
    return this.#ask('sendMessage', user, text);
  }

  options(user) {
    return this.#ask('sendOptions', user, '');
  }

  /** What happened to its call, in order. */
  events() {
    return this.#events;
  }

  /** The texts of messages that came. */
  heard() {
    return this.#heard;
  }

  /** Voice so far: packets each way, energy of what is heard (as defined by the WebRTC statistics). */
  async voice() {
    const report = await this.#session.connection.getStats();
    const of = type =>
      [...report.values()].find(entry => entry.type === type && entry.kind === 'audio') ?? {};
    return {
      sent: of('outbound-rtp').packetsSent ?? 0,
      received: of('inbound-rtp').packetsReceived ?? 0,
      energy: of('inbound-rtp').totalAudioEnergy ?? 0,
    };
  }

  #take(session) {
    this.#follow(session);
    session.answer(MEDIA);
  }

  #follow(session) {
    this.#session = session;
    this.#events = [];
    for (const event of ['confirmed', 'hold', 'unhold', 'ended', 'failed']) {
      session.on(event, ({ originator } = {}) => this.#events.push(`${event} ${originator ?? ''}`));
    }
    const play = connection =>
      connection.addEventListener('track', ({ streams: [stream] }) => {
        const audio = new Audio();
        audio.srcObject = stream;
        void audio.play();
      });
    if (session.connection) play(session.connection);
    else session.on('peerconnection', ({ peerconnection }) => play(peerconnection));
  }

  #registration() {
    return new Promise(resolve => {
      this.#ua.once('registered', ({ response }) => resolve(response.status_code));
      this.#ua.once('registrationFailed', ({ response }) => resolve(response?.status_code ?? 0));
    });
  }

  #ask(method, user, body) {
    return new Promise(resolve => {
      this.#ua[method](`sip:${user}@${this.#domain}`, body, {
        eventHandlers: {
          succeeded: ({ response }) => resolve(response.status_code),
          failed: ({ response }) => resolve(response?.status_code ?? 0),
        },
      });
    });
  }
}

const MEDIA = {
  mediaConstraints: { audio: true, video: false },
  pcConfig: { iceServers: [] },
};

globalThis.phone = new BrowserPhone();
