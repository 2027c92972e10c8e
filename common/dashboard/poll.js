// poll.js - asks for JSON again and again: every second, or as said, while it is answered and somebody looks, more and more seldom while
// not, and at once when somebody looks again. Of several addresses the one that answered last is asked, or each in turn.

import {ask} from "./ask.js";

const EVERY_MS = 1000;
const HIDDEN_MS = 5000;
const SLOWEST_MS = 5000;
const PATIENCE_MS = 4000;
const ADDRESSES_MAX = 4;

// `onAnswer(json)`; an Error that it throws counts as none. `onFailure(error, since)`: in vain since that time.
export class Poll {
  #timer = null;
  #failures = 0;
  #since = null;

  constructor(url, onAnswer, onFailure, everyMs = EVERY_MS) {
    Object.assign(this, {urls: [url], onAnswer, onFailure, everyMs});
    document.addEventListener("visibilitychange", () => document.hidden || this.#ask());
    this.#ask();
  }

  // Besides those it has, the newest first.
  alsoAsk(urls) {
    this.urls = [...new Set([...urls, ...this.urls])].slice(0, ADDRESSES_MAX);
  }

  async #ask() {
    clearTimeout(this.#timer);
    if (this.asking) return;
    this.asking = true;
    try {
      this.onAnswer(await ask(this.urls[0], PATIENCE_MS));
      this.#failures = 0;
      this.#since = null;
    } catch (error) {
      this.#failures++;
      this.urls.push(this.urls.shift());
      this.#since ??= Date.now();
      this.onFailure(error, this.#since);
    }
    this.asking = false;
    const wait = this.#failures ? Math.min(EVERY_MS * 1.5 ** (this.#failures - 1), SLOWEST_MS) : this.everyMs;
    this.#timer = setTimeout(() => this.#ask(), document.hidden ? Math.max(wait, HIDDEN_MS) : wait);
  }
}
