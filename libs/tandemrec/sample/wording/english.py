"""The English of the reviews, as data: clauses by what they feel, with slots for aspect, product and degree."""

from tandemrec.sample.wording.grammar import Language, lines

_PRAISE = lines("""
    I {really} like {aspect}
    {aspect} {is} {very} good
    {aspect} turned out better than I expected
    {aspect} feel{s} solid and well made
    {aspect} work{s} exactly as described
    {aspect} alone {is} worth the money
    could not be happier with {aspect}
    I have no complaints about {aspect}
    not a single problem with {aspect} so far
    {aspect} {is} not bad at all
    you won't find {aspect} done better at this price
    I was sceptical about {aspect} and I was wrong
    {aspect} exceeded what I hoped for
    it does its job without any fuss
    it is {very} easy to use
    {very} happy with this {product}
    I would buy this {product} again without thinking twice
    my {person} wants the same {product} now
    best {product} I have owned in years
    it looks even nicer than in the pictures
    {very} good value for the price
    it arrived sooner than promised and well packed
    I cannot fault it
    never had any trouble with it
    I use it every day and it still looks new
    highly recommended to anyone in need of one
    five stars from me
    what a lovely {product}
    I can't imagine going back to my old {product}
    quality is {very} high for what you pay
    it saved me a lot of time
    bought a second one for my {person}
    nothing to improve here
    I love everything about it
    the small details show that somebody cared
    it replaced one that cost twice as much and I don't miss that one
    no regrets
    hard to put it down
    it has already survived a {period} of daily use
    I doubted the reviews but they were right
    it makes me smile each time
    customer service answered in an hour and solved it
    does what it should, and then some
    {aspect} {is} a pleasure
    a {very} welcome surprise
""")

_COMPLAINT = lines("""
    I {really} dislike {aspect}
    {aspect} {is} {very} poor
    {aspect} {is} worse than on my old {product}
    {aspect} feel{s} cheap and flimsy
    {aspect} {does} not work as described
    {aspect} broke after a {period}
    could not be more disappointed with {aspect}
    I have many complaints about {aspect}
    nothing but problems with {aspect} so far
    {aspect} {is} not good at all
    you will find {aspect} done better at half the price
    I was hopeful about {aspect} and I was wrong
    {aspect} fell short of what I hoped for
    it does not do the one job it has
    it is {very} awkward to use
    {very} unhappy with this {product}
    I would not buy this {product} again
    I wanted to love it, but no
    worst {product} I have owned in years
    it looks nothing like the pictures
    not worth half of the price
    it arrived late and badly packed
    I sent it back the same {period}
    had nothing but trouble with it
    I used it twice and it already looks old
    save your money and get another {product}
    one star is generous
    what a letdown
    I went back to my old {product}
    quality is {very} low for what you pay
    it cost me a lot of time
    my {person} tried it and gave up
    so much to improve here
    I regret buying it
    nobody seems to have tested this
    it replaced one that was cheaper, and better
    hard to believe people like it
    it did not survive a {period} of light use
    the good reviews made me buy it and I wish they hadn't
    it makes a noise that drives my {person} mad
    customer service never answered
    promises a lot and keeps little
    {aspect} {is} a nuisance
    a {very} unpleasant surprise
    the second one failed just like the first
""")

_NEUTRAL = lines("""
    I bought this {product} a {period} ago
    it was a present for my {person}
    {aspect} {is} what you see in the picture
    {aspect} {is} different from my old one
    I mostly use it at the weekend
    it came in a plain box
    I compared it with two others before I chose
    my {person} picked the colour
    it is about the size that I had in mind
    the manual is short
    this is my second {product}
    I paid full price for it
    for what it is, it is fine
    time will tell how {aspect} hold{s} up
    I had read the other reviews first
    your mileage may vary
    we have had it for a {period} now
    it sits in the hallway most of the time
    delivery took a {period}
    I am no expert on this
    {aspect} take{s} some getting used to
    it is an ordinary {product}
    updated after a {period} of use
    I thought about it for a long time
    there are cheaper and dearer ones
    {aspect} {is} neither here nor there
""")

_JOIN_SAME = lines("""
    . {} | , and {} | . Also, {} | . {} | ! {} | ; {} | . On top of that {}
""", "|")  # fmt: skip
_JOIN_TURN = lines("""
    , but {} | . However, {} | , although {} | . Then again, {} | , yet {} | . On the other hand {} | . Still, {}
""", "|")  # fmt: skip

ENGLISH = Language(
    code="en",
    spaced=True,
    praise=_PRAISE,
    complaint=_COMPLAINT,
    neutral=_NEUTRAL,
    join_same=_JOIN_SAME,
    join_turn=_JOIN_TURN,
    slots={
        "very": lines("very|really|quite|extremely|pretty|rather|unusually|so|truly", "|"),
        "really": lines("really|do|honestly|especially|absolutely|quite|truly", "|"),
        "person": lines("wife|husband|son|daughter|sister|brother|neighbour|mother|father|flatmate|boss|friend", "|"),
        "period": lines("week|month|fortnight|couple of days|day|few weeks|season|long while", "|"),
    },
    agreement={"is": ("is", "are"), "does": ("does", "do"), "s": ("s", "")},
    headlines_good=lines("Great {product}|Would buy again|Just right|Better than expected|No complaints|Lovely|Solid|"
                         "Not bad at all|Good value|Happy with it", "|"),
    headlines_bad=lines("Disappointed|Not worth it|Save your money|Broke too soon|Would not buy again|Meh|Poor thing|"
                        "Not as described|Expected more|Back it goes", "|"),
    headlines_even=lines("My {product}|It is okay|After a {period}|The {product}|Review|For my {person}|Mixed feelings|"
                         "What to know", "|"),
    end=".",
    shout="!",
)  # fmt: skip
