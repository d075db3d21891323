"""Gold: what models read and write, and what runs record."""

from tandemrec.lake.contracts.model import Table, columns_of

GOLD = (
    Table(
        name="users_vocabulary",
        layer="gold",
        comment="Integer index of each user; a known user keeps it in every later run",
        columns=columns_of(
            """
            user_id     string!     identifier; [forgotten N] of somebody who was forgotten
            user_index  int!        from 1, contiguous; 0 stands for nobody
            """
        ),
        key=("user_id",),
        checks={"index_from_1": "user_index >= 1"},
    ),
    Table(
        name="items_vocabulary",
        layer="gold",
        comment="Integer index of each item; a known item keeps it in every later run",
        columns=columns_of(
            """
            item_id     string!     identifier
            item_index  int!        from 1, contiguous; 0 stands for no item
            """
        ),
        key=("item_id",),
        checks={"index_from_1": "item_index >= 1"},
    ),
    Table(
        name="texts_vocabulary",
        layer="gold",
        comment="Integer index of each text: the row of its vector in memory",
        columns=columns_of(
            """
            text_hash   string!     sha256 of the text; [forgotten N] where forget-user removed it
            text_index  int!        from 1, contiguous; 0 stands for no text
            """
        ),
        key=("text_hash",),
        checks={"index_from_1": "text_index >= 1"},
    ),
    Table(
        name="attributes_vocabulary",
        layer="gold",
        comment="Integer index of each value of an attribute; a known value keeps it in every later run",
        columns=columns_of(
            """
            attribute   string!     category, brand, one of examples.attributes; of a table column NAME or label NAME
            value       string!     as in silver; of other attributes of items trimmed and in lower case
            value_index int!        from 1 within its attribute, contiguous; 0 stands for unknown
            """
        ),
        key=("attribute", "value"),
        checks={"index_from_1": "value_index >= 1"},
    ),
    Table(
        name="terms_vocabulary",
        layer="gold",
        comment="Words and phrases that several users name in reviews of the training split, the commonest first",
        columns=columns_of(
            """
            term        string!     in lower case, words of a phrase with a space between
            term_index  int!        from 1, contiguous; 0 stands for no term; another run may give another one
            users       bigint!     who name it in the training split
            """
        ),
        key=("term",),
        checks={"index_from_1": "term_index >= 1"},
    ),
    Table(
        name="text_terms",
        layer="gold",
        comment="The terms that a review's text names; a text that names none is not here",
        columns=columns_of(
            """
            text_index  int!        texts_vocabulary
            terms       array<int>! terms_vocabulary, each once, in order
            """
        ),
        key=("text_index",),
    ),
    Table(
        name="user_profiles",
        layer="gold",
        comment="What users are interested in, told from their reviews as of a moment",
        columns=columns_of(
            """
            user_id     string!     who; only users with a review
            as_of       timestamp   reviews strictly before it are read; null: all
            reviews     int!        how many there are
            language    string!     of most of them
            keywords    array<struct<term:string,weight:double,sentiment:double,count:int,last_time:timestamp>>! \
heaviest first; weight: share of all terms of the user; sentiment: -1 to 1, null where the user gave no stars; count: \
reviews that name it
            encoder     string      whose vectors are pooled; null without vectors
            vector      array<float> mean of the reviews' vectors, a review half a life old counting half
            """
        ),
        key=("user_id",),
    ),
    Table(
        name="user_summaries",
        layer="gold",
        comment="A paragraph on a user by a language model, from the user's profile and last reviews",
        columns=columns_of(
            """
            user_id     string!     who
            summary_key string!     sha256 of model, prompt and length: the same asks for the same summary
            model       string!     as in profiles.summary.model
            summary     string!     what it wrote
            """
        ),
        key=("user_id",),
    ),
    Table(
        name="text_vectors",
        layer="gold",
        comment="What an encoder makes of a text; a text is encoded once for each encoder",
        columns=columns_of(
            """
            text_hash   string!         sha256 of the text
            encoder     string!         identity of the encoder: hash of weights, tokeniser and settings
            vector      array<float>!   of the encoder's width
            """
        ),
        key=("text_hash", "encoder"),
        partition_by=("encoder",),
        cluster_by=("text_hash",),
    ),
    Table(
        name="texts_failed",
        layer="gold",
        comment="Texts that an encoder fails on, beside their vectors; every run of embed tries them again",
        columns=columns_of(
            """
            text_hash   string!     sha256 of the text, which stays in silver
            encoder     string!     identity of the encoder
            error       string!     what it said
            """
        ),
        key=("text_hash", "encoder"),
    ),
    Table(
        name="item_features",
        layer="gold",
        comment="What the model knows of each item beside behaviour: integers that refer to vocabularies",
        columns=columns_of(
            """
            item_index  int!        items_vocabulary
            category    int!        attributes_vocabulary, 0 unknown
            brand       int!        attributes_vocabulary, 0 unknown
            price       int!        decile of the price within its category or catalogue, from 1; 0 unknown
            text        int!        texts_vocabulary: title and description; 0 none
            reviews     array<int>! texts_vocabulary: the reviews of it in the training split, newest first
            interactions bigint!    positives in the training split; 0: new, ranked where validation says that it helps
            attributes  map<string,array<int>>! of examples.attributes. index: [value_index], [0] unknown; \
one_hot: as many as the vocabulary has values, 1 at the place value_index, all 0 unknown
            """
        ),
        key=("item_index",),
    ),
    Table(
        name="user_features",
        layer="gold",
        comment="Each user as of the newest event: what a recommendation made today may read",
        columns=columns_of(
            """
            user_index  int!        users_vocabulary
            history     array<int>! items of the last positives, oldest first
            reviews     array<int>! texts_vocabulary: the last reviews, oldest first
            seen        array<int>! every item with a positive
            """
        ),
        key=("user_index",),
    ),
    Table(
        name="examples",
        layer="gold",
        comment="What the model learns from: references and labels only, never a vector or a text",
        columns=columns_of(
            """
            example_id  string!     md5 of kind, user, item and time; of a row of where it stands
            kind        string!     exposure, interaction, review or row
            split       string!     train, valid or test
            event_time  timestamp!  the moment as of which the references are read; of a row 1970-01-01
            user        int!        users_vocabulary; 0 nobody
            item        int!        items_vocabulary; 0 none
            history     array<int>! items of the user's last positives before the moment, oldest first
            user_reviews array<int>! texts_vocabulary: the user's last reviews before the moment, oldest first
            item_reviews array<int>! texts_vocabulary: the item's last reviews by others before the moment, oldest first
            review      int!        texts_vocabulary: the review written at this moment, 0 none; text tasks only
            seen        array<int>! of valid and test next-item rows: every item the user had before the moment
            next_item   int         label: the item, where next item predicts this row
            click       double      label: 1 clicked after the view, 0 not
            favourite   double      label: 1 marked as favourite after the view, 0 not
            cart        double      label: 1 put into the cart after the view, 0 not
            purchase    double      label: 1 bought after the view, 0 not
            rating      double      label: stars
            sentiment   double      label: 1 in the upper quarter of the range (4-5 of 5 stars), 0 in the lowest (1-2)
            stars       double      label: stars given with the review, as a whole number; null where below 0
            category    double      label: category of the reviewed item, attributes_vocabulary
            labels      map<string,double> labels that the settings name
            categories  array<int>  of a row, attributes_vocabulary: tabular.categorical in their order, 0 unknown
            numbers     array<double> of a row: tabular.numeric in their order, null unknown
            weight      double      of a row: how much its losses count; null 1
            """
        ),
        key=("example_id",),
        checks={"known_split": "split IN ('train', 'valid', 'test')"},
        partition_by=("split",),
    ),
    Table(
        name="synthetic_texts",
        layer="gold",
        comment="Texts made from reviews of the training split; train reads them as further rows of tasks on texts",
        columns=columns_of(
            """
            synthetic_id string!    sha256 of source, method and variant
            review_id   string!     the source, in silver.reviews
            text        string!     what was made
            text_hash   string!     sha256 of the text
            text_index  int!        texts_vocabulary
            method      string!     paraphrase or crop_shuffle
            generator   string      identity of the model that wrote it: hash of weights, tokeniser and settings
            similarity  double!     cosine of the encoder's vectors of source and text, less the mean of all sources'
            recipe      string!     hash of encoder, generator, settings, seed, and of the source's text and labels
            run_id      string!     of augment, in gold.runs
            sentiment   double      label of the source: 1 positive, 0 negative
            stars       double      label of the source
            category    double      label of the source, attributes_vocabulary
            """
        ),
        key=("synthetic_id",),
        checks={"known_method": "method IN ('paraphrase', 'crop_shuffle')"},
    ),
    Table(
        name="synthetic_tried",
        layer="gold",
        comment="Reviews of which no text that was made is fit; they are not asked again until the recipe changes",
        columns=columns_of(
            """
            review_id   string!     the source, in silver.reviews
            recipe      string!     as in synthetic_texts
            """
        ),
        key=("review_id",),
    ),
    Table(
        name="predictions",
        layer="gold",
        comment="Every task's score for the user-item pairs of the test split",
        columns=columns_of(
            """
            run_id      string!     the training run
            user_id     string!     who
            item_id     string!     what
            scores      map<string,double>! by task: probability, expected stars, class that is told, or u . v + b_i
            model_version string!   checkpoint that gave them
            """
        ),
        key=("run_id", "user_id", "item_id"),
        cluster_by=("user_id",),
    ),
    Table(
        name="recommendations",
        layer="gold",
        comment="The best items for each user",
        columns=columns_of(
            """
            run_id      string!     the training run
            user_id     string!     who
            rank        int!        from 1
            item_id     string!     what
            score       double!     u . v + b_i
            reason      string!     because:ITEM (the user's own that speaks most for it, none rated low) or popular
            model_version string!   checkpoint that gave them
            """
        ),
        key=("run_id", "user_id", "rank"),
        cluster_by=("user_id",),
        checks={"rank_from_1": "rank >= 1"},
    ),
    Table(
        name="metrics",
        layer="gold",
        comment="Every figure of an evaluation, and of the quality of tables",
        columns=columns_of(
            """
            run_id      string!     the training run; of quality the run that wrote the table
            model       string!     tandemrec, the name of a baseline, or quality
            split       string!     valid or test, or by training interactions a part: test, user 1-2; of quality all
            task        string!     name of the task; of quality of the table
            metric      string!     name, with @k where it has a cut-off; of quality check and column
            value       double!     the figure
            low         double      lower end of its 95% interval
            high        double      upper end of its 95% interval
            rows        bigint!     examples, users or rows it rests on
            lead        double      of a baseline: how much better tandemrec is, whichever way the metric goes
            lead_low    double      lower end of its 95% interval, drawn over differences on the same rows
            lead_high   double      upper end of its 95% interval
            """
        ),
        key=("run_id", "model", "split", "task", "metric"),
    ),
    Table(
        name="runs",
        layer="gold",
        comment="What each stage read, wrote and found",
        columns=columns_of(
            """
            run_id      string!     hash of what the stage depends on: inputs, settings, code
            stage       string!     name
            status      string!     done or failed
            started_at  timestamp!  UTC
            seconds     double!     wall clock
            inputs      map<string,bigint>! table versions read
            outputs     map<string,bigint>! table versions after the stage
            config_hash string!     of the settings the stage depends on
            settings    string      JSON object of these settings, secrets hidden
            code_version string!    version of the library, and the stage's recipe from the second on
            figures     string!     JSON object of what the stage counted
            """
        ),
        key=("run_id", "stage"),
        checks={"known_status": "status IN ('done', 'failed')"},
    ),
)
