"""The Chinese of the reviews, as data; the same shape as the English."""

from tandemrec.sample.wording.grammar import Language, lines

_PRAISE = lines("""
    {aspect}{very}好
    {aspect}比想象中好
    {aspect}做工扎实
    {aspect}和描述的一样
    对{aspect}{very}满意
    {aspect}没什么可挑剔的
    {aspect}真的不错
    {aspect}一点问题都没有
    光是{aspect}就值这个价
    之前担心{aspect}，结果完全多虑了
    这个{product}{very}好用
    用起来{very}顺手
    性价比{very}高
    物流很快，包装也好
    {person}看了也想买一个
    已经买了第二个
    五星好评
    会推荐给朋友
    下次还会买
    比以前那个{product}好太多
    实物比照片还美
    用了{period}，还和新的一样
    客服{very}耐心，问题很快解决了
    不后悔买它
    没有失望过
    {very}喜欢
    值得入手
    挑不出毛病
    质量{very}过硬
    超出预期
    天天用，真心喜欢
    送给{person}，{person}{very}开心
""")

_COMPLAINT = lines("""
    {aspect}{very}差
    {aspect}比想象中差
    {aspect}做工粗糙
    {aspect}和描述的不一样
    对{aspect}{very}失望
    {aspect}毛病太多
    {aspect}真的不行
    {aspect}用了{period}就坏了
    {aspect}不值这个价
    本来期待{aspect}，结果完全不是那么回事
    这个{product}{very}难用
    用起来{very}别扭
    性价比{very}低
    物流很慢，包装也破了
    {person}用了一次就不想用了
    已经退货了
    一星都嫌多
    不会推荐给朋友
    不会再买
    还不如以前那个{product}
    实物和照片差太远
    用了{period}，就像旧的一样
    客服一直不回，问题没有解决
    后悔买它
    不建议入手
    {very}不喜欢
    不是我想要的
    想说好，可是真的说不出口
    质量{very}不过关
    低于预期
    用了一次就放在一边，真心不好用
    送给{person}，{person}也不满意
""")

_NEUTRAL = lines("""
    买了{period}了
    是给{person}买的
    {aspect}和图片一样
    平时周末用
    包装是普通的纸箱
    比较了三家才下单
    颜色是{person}选的
    大小和想的差不多
    说明书很短
    这是第二个{product}了
    原价买的
    {aspect}还要再用用看
    看了别人的评价才买
    普通的{product}
    用了{period}再来追评
    {aspect}一般
    不是专业的，随便说说
    有更贵的，也有更便宜的
    收到{period}了
    {aspect}需要习惯一下
""")

CHINESE = Language(
    code="zh",
    spaced=False,
    praise=_PRAISE,
    complaint=_COMPLAINT,
    neutral=_NEUTRAL,
    join_same=lines("，{}|。{}|，而且{}|！{}|，{}|；{}", "|"),
    join_turn=lines("，不过{}|。但是{}|，可是{}|。只是{}|，然而{}", "|"),
    slots={
        "very": lines("很|非常|特别|真的|相当|比较|十分", "|"),
        "person": lines("老婆|老公|儿子|女儿|妹妹|哥哥|邻居|妈妈|爸爸|室友|同事|朋友", "|"),
        "period": lines("一周|一个月|两周|几天|一天|三个月|大半年|好久", "|"),
    },
    agreement={},
    headlines_good=lines("很满意|会回购|不错|超出预期|没毛病|喜欢|值", "|"),
    headlines_bad=lines("失望|不值|别买|坏得太快|不会再买|和描述不符", "|"),
    headlines_even=lines("我的{product}|还行|用了{period}|评价|给{person}买的", "|"),
    end="。",
    shout="！",
)
